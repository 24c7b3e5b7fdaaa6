// buffers.h: reading DLPack capsules and __cuda_array_interface__.
//
// The layout of a capsule is that of DLPack's first stable version: https://dmlc.github.io/dlpack/latest/c_api.html.
#include <pybind11/stl.h>

#include <stdexcept>
#include <utility>

#include "python/buffers.h"
#ifdef KERASCNN_CUDA
#include "common/cuda_device.h"
#endif

namespace kerascnn {
namespace {

struct CapsuleTensor {
  void* data;
  int32_t device_type, device_id;  // 1: CPU, 2: CUDA, 3: host memory that CUDA pinned, 13: memory that CUDA manages
  int32_t dimensions;
  uint8_t code, bits;  // of the elements: code 1 is unsigned, 2 IEEE floating point, 4 bfloat16
  uint16_t lanes;
  int64_t *shape, *strides;  // in elements; no strides: C order
  uint64_t byte_offset;
};
struct Capsule {
  CapsuleTensor tensor;
  void* context;
  void (*deleter)(Capsule*);
};

#ifdef KERASCNN_CUDA_ON_CPU
constexpr bool kOnCpu = true;  // "device" memory is plain memory
#else
constexpr bool kOnCpu = false;
#endif

[[noreturn]] void Refuse(const char* name, const std::string& rule) {
  throw py::value_error(std::string(name) + " " + rule);
}

void CheckOrder(const char* name, const std::vector<int64_t>& shape, const std::vector<int64_t>& strides) {
  int64_t expected = 1;
  for (size_t i = shape.size(); i-- > 0;) {
    if (shape[i] == 0) return;
    if (shape[i] != 1 && strides[i] != expected) Refuse(name, "must be contiguous, the last axis fastest");
    expected *= shape[i];
  }
}

Buffer FromCapsule(const py::object& object, const char* name, uint64_t stream) {
  const auto [type, id] = object.attr("__dlpack_device__")().cast<std::pair<int, int>>();
  const bool device = type == 2 || type == 13;
  // CUDA's default stream is called 1 in DLPack; a producer on the CPU takes no stream.
  const py::object exported =
      device ? object.attr("__dlpack__")(py::arg("stream") = stream == 0 ? 1 : stream) : object.attr("__dlpack__")();
  auto* capsule = static_cast<Capsule*>(PyCapsule_GetPointer(exported.ptr(), "dltensor"));
  if (capsule == nullptr) throw py::error_already_set();
  PyCapsule_SetName(exported.ptr(), "used_dltensor");
  Buffer buffer;
  buffer.owner = py::capsule(capsule, [](void* memory) {
    auto* const capsule = static_cast<Capsule*>(memory);
    if (capsule->deleter != nullptr) capsule->deleter(capsule);
  });
  const CapsuleTensor& tensor = capsule->tensor;
  if (tensor.device_type != 1 && tensor.device_type != 3 && !device) {
    Refuse(name, "must be on the CPU or on a CUDA device. Received: DLPack device type " + std::to_string(type));
  }
  const int format = tensor.lanes == 1 ? tensor.code * 100 + tensor.bits : 0;
  if (format != 216 && format != 232 && format != 264 && format != 416 && format != 108) {
    Refuse(name, "must hold float32, float64, bfloat16 or float16. Received: DLPack type code " +
                     std::to_string(tensor.code) + " of " + std::to_string(tensor.bits) + " bits");
  }
  buffer.type = format == 232   ? Element::kFloat
                : format == 264 ? Element::kDouble
                : format == 416 ? Element::kBfloat16
                : format == 108 ? Element::kByte
                                : Element::kHalf;
  buffer.data = static_cast<char*>(tensor.data) + tensor.byte_offset;
  buffer.shape.assign(tensor.shape, tensor.shape + tensor.dimensions);
  if (tensor.strides != nullptr) {
    CheckOrder(name, buffer.shape, std::vector<int64_t>(tensor.strides, tensor.strides + tensor.dimensions));
  }
  buffer.on_device = device || kOnCpu;
  return buffer;
}

Buffer FromInterface(const py::object& object, const char* name, [[maybe_unused]] uint64_t stream) {
  const py::dict description = object.attr("__cuda_array_interface__");
  const std::string format = description["typestr"].cast<std::string>();
  Buffer buffer;
  if (format == "<f4") {
    buffer.type = Element::kFloat;
  } else if (format == "<f8") {
    buffer.type = Element::kDouble;
  } else if (format == "<f2") {
    buffer.type = Element::kHalf;
  } else if (format == "|u1") {
    buffer.type = Element::kByte;
  } else {
    Refuse(name, "must hold float32, float64 or float16 (bfloat16 by DLPack). Received: typestr " + format);
  }
  const auto [pointer, read_only] = description["data"].cast<std::pair<uintptr_t, bool>>();
  buffer.data = reinterpret_cast<void*>(pointer);
  buffer.read_only = read_only;
  buffer.shape = description["shape"].cast<std::vector<int64_t>>();
  if (description.contains("strides") && !description["strides"].is_none()) {
    std::vector<int64_t> strides = description["strides"].cast<std::vector<int64_t>>();
    const int64_t bytes = format.back() - '0';
    for (int64_t& stride : strides) stride = stride % bytes == 0 ? stride / bytes : -1;
    CheckOrder(name, buffer.shape, strides);
  }
#ifdef KERASCNN_CUDA
  const py::object producer = description.attr("get")("stream", py::none());
  if (!producer.is_none() && producer.cast<uint64_t>() != stream) {
    const std::string wrong = WaitForStream(reinterpret_cast<void*>(producer.cast<uintptr_t>()));
    if (!wrong.empty()) Refuse(name, "is not ready: " + wrong);
  }
#endif
  buffer.on_device = true;
  buffer.owner = object;
  return buffer;
}

}  // namespace

bool IsBuffer(const py::handle& object) {
  return py::hasattr(object, "__dlpack__") || py::hasattr(object, "__cuda_array_interface__");
}

namespace {

Buffer AnyBuffer(const py::object& object, const char* name, uint64_t stream) {
  if (!IsBuffer(object)) throw py::type_error(std::string(name) + " must offer __dlpack__ or __cuda_array_interface__");
  // DLPack knows bfloat16 and waits for the producer's stream; the other protocol is for libraries without it.
  Buffer buffer =
      py::hasattr(object, "__dlpack__") ? FromCapsule(object, name, stream) : FromInterface(object, name, stream);
  if (!buffer.on_device || buffer.elements() == 0) return buffer;
#ifdef KERASCNN_CUDA
  const std::string wrong = UseDeviceOf(buffer.data);
  if (!wrong.empty()) Refuse(name, "cannot be used: " + wrong);
#else
  Refuse(name, "is on a CUDA device, but this build has no CUDA kernels");
#endif
  return buffer;
}

void CheckPlace(const Buffer& first, const Buffer& second, const char* name) {
  if (first.on_device != second.on_device) Refuse(name, "must be where the other arrays are, on the CPU or the device");
}

void CheckShape(const Buffer& buffer, const char* name, const std::vector<int64_t>& shape) {
  if (buffer.shape == shape) return;
  const auto words = [](const std::vector<int64_t>& shape) { return py::repr(py::tuple(py::cast(shape))); };
  Refuse(name, "must have the shape " + words(shape).cast<std::string>() +
                   ". Received: " + words(buffer.shape).cast<std::string>());
}

}  // namespace

Buffer InputBuffer(const py::object& object, const char* name, uint64_t stream) {
  Buffer buffer = AnyBuffer(object, name, stream);
  if (buffer.type == Element::kByte) {
    Refuse(name, "must hold float32, float64, bfloat16 or float16. Received: bytes");
  }
  return buffer;
}

Buffer OutputBuffer(const py::object& object, const char* name, uint64_t stream, const Buffer& like,
                    const std::vector<int64_t>& shape) {
  Buffer buffer = InputBuffer(object, name, stream);
  CheckAlike(like, buffer, name);
  if (buffer.read_only) Refuse(name, "must be writable");
  CheckShape(buffer, name, shape);
  return buffer;
}

Buffer ByteBuffer(const py::object& object, const char* name, uint64_t stream, const Buffer& like,
                  const std::vector<int64_t>& shape, bool writable) {
  Buffer buffer = AnyBuffer(object, name, stream);
  if (buffer.type != Element::kByte) Refuse(name, "must hold bytes (uint8)");
  CheckPlace(like, buffer, name);
  if (writable && buffer.read_only) Refuse(name, "must be writable");
  CheckShape(buffer, name, shape);
  return buffer;
}

void CheckAlike(const Buffer& first, const Buffer& second, const char* name) {
  CheckPlace(first, second, name);
  if (first.type != second.type) Refuse(name, "must have the element type of the other arrays");
}

void ThrowUnlessEmpty(const std::string& wrong) {
  if (!wrong.empty()) throw std::runtime_error(wrong);
}

}  // namespace kerascnn
