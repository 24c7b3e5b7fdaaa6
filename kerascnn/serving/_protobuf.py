"""Protobuf messages built from their field numbers, without a compiler and without .proto files."""

from collections.abc import Mapping, Sequence

from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory

# Message -> {field: (number, type)}. "*" after a type: repeated; "map " before it: from strings to it; "|" before it:
# in the oneof. A type with a dot is another package's.
Fields = Mapping[str, Mapping[str, tuple[int, str]]]


def classes(
    package: str, messages: Fields, pool: descriptor_pool.DescriptorPool, imported: Sequence[str] = ()
) -> dict[str, type[message.Message]]:
    """Adds messages to a pool.

    Args:
        package: where they are; not on the wire.
        messages: their fields.
        pool: where they are added, once.
        imported: files of the pool whose messages they use.

    Returns:
        Their classes, by name.
    """
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3")
    file.dependency.extend(imported)
    for name, fields in messages.items():
        described = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            _add_field(package, described, field, number, kind)
    pool.AddSerializedFile(file.SerializeToString())
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}")) for name in messages}


def _add_field(package: str, described: descriptor_pb2.DescriptorProto, name: str, number: int, kind: str) -> None:
    constants = descriptor_pb2.FieldDescriptorProto
    plain = kind.strip("*|").removeprefix("map ")
    label = constants.LABEL_REPEATED if kind.endswith("*") or kind.startswith("map ") else constants.LABEL_OPTIONAL
    added = described.field.add(name=name, number=number, label=label)
    if kind.startswith("|"):
        if not described.oneof_decl:
            described.oneof_decl.add(name="choice")
        added.oneof_index = 0
    if kind.startswith("map "):
        entry = described.nested_type.add(name=f"{name.title().replace('_', '')}Entry")
        entry.options.map_entry = True
        _add_field(package, entry, "key", 1, "string")
        _add_field(package, entry, "value", 2, plain)
        added.type, added.type_name = constants.TYPE_MESSAGE, f".{package}.{described.name}.{entry.name}"
    elif hasattr(constants, f"TYPE_{plain.upper()}"):
        added.type = getattr(constants, f"TYPE_{plain.upper()}")
    else:
        full = plain if "." in plain else f"{package}.{plain}"
        added.type, added.type_name = constants.TYPE_MESSAGE, f".{full}"
