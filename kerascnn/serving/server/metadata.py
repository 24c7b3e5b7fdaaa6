"""What the status and metadata of a model are in JSON.

Source: tensorflow/serving, g3doc/api_rest.md and model_servers/http_rest_api_util.cc.
"""

import json
from collections.abc import Iterable

from google.protobuf import json_format

from kerascnn.serving.server.model import Version


def status(versions: Iterable[Version]) -> str:
    """The states of versions.

    Args:
        versions: of one model.
    """
    rows = [
        {
            "version": str(version.number),
            "state": version.state.name,
            "status": {"error_code": version.code, "error_message": version.message},
        }
        for version in versions
    ]
    return json.dumps({"model_version_status": rows}, indent=1)


def metadata(version: Version) -> str:
    """The signatures of a leased version, as protobuf writes them in JSON with every field.

    Args:
        version: leased, so that it is loaded.
    """
    signatures = {
        name: json_format.MessageToDict(
            definition, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )
        for name, definition in sorted(version.servable.definitions.items())
    }
    spec = {"name": version.model, "signature_name": "", "version": str(version.number)}
    return json.dumps({"model_spec": spec, "metadata": {"signature_def": {"signature_def": signatures}}}, indent=1)
