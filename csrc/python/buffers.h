// Arrays of other libraries, on the CPU or on a CUDA device, without copying: DLPack and __cuda_array_interface__.
//
// A function with an `out` argument takes such arrays, works where they lie and writes its result into `out`:
//
//   void Forward(const py::object& x, const py::object& out, int n_threads, uint64_t stream) {
//     const Buffer from = InputBuffer(x, "x", stream), to = OutputBuffer(out, "out", stream, from, from.shape);
//     Dispatch(from.type, [&](auto zero) {
//       using T = decltype(zero);
//       ThrowUnlessEmpty(from.on_device ? OpCuda(from.as<T>(), to.as<T>(), ...) : OpOnCpu(...));
//     });
//   }
#ifndef KERASCNN_PYTHON_BUFFERS_H_
#define KERASCNN_PYTHON_BUFFERS_H_

#include <pybind11/pybind11.h>

#include <cstdint>
#include <string>
#include <vector>

#include "common/types.h"

namespace kerascnn {

namespace py = pybind11;

enum class Element { kFloat, kDouble, kBfloat16, kHalf, kByte };

struct Buffer {
  void* data = nullptr;
  Element type = Element::kFloat;
  std::vector<int64_t> shape;
  bool on_device = false;
  bool read_only = false;
  py::object owner;  // keeps the memory

  template <typename T>
  T* as() const {
    return static_cast<T*>(data);
  }
  int64_t elements() const {
    int64_t product = 1;
    for (const int64_t extent : shape) product *= extent;
    return product;
  }
};

// Whether a Python object offers one of the two protocols.
bool IsBuffer(const py::handle& object);

// The object's memory: C order, one of the four element types. A device's buffer is ready for work on `stream`, and its
// device becomes the calling thread's. Throws ValueError or TypeError in words that begin with `name`.
Buffer InputBuffer(const py::object& object, const char* name, uint64_t stream);

// Likewise, for writing, and of the given place, type and shape.
Buffer OutputBuffer(const py::object& object, const char* name, uint64_t stream, const Buffer& like,
                    const std::vector<int64_t>& shape);

// An array of bytes (uint8) in the place of `like`, for reading or writing.
Buffer ByteBuffer(const py::object& object, const char* name, uint64_t stream, const Buffer& like,
                  const std::vector<int64_t>& shape, bool writable);

// Throws unless both are in the same place and have one element type.
void CheckAlike(const Buffer& first, const Buffer& second, const char* name);

// Calls function(T()) for the element type.
template <typename Function>
void Dispatch(Element type, const Function& function) {
  switch (type) {
    case Element::kFloat:
      return function(float());
    case Element::kDouble:
      return function(double());
    case Element::kBfloat16:
      return function(bfloat16());
    case Element::kHalf:
      return function(half());
    case Element::kByte:  // never: InputBuffer() refuses it
      return;
  }
}

// What a launcher said, as a RuntimeError.
void ThrowUnlessEmpty(const std::string& wrong);

}  // namespace kerascnn

#endif  // KERASCNN_PYTHON_BUFFERS_H_
