// NumPy arrays as the bindings take and return them: C order, four dimensions mostly, any of the four element types.
#ifndef KERASCNN_PYTHON_ARRAYS_H_
#define KERASCNN_PYTHON_ARRAYS_H_

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <array>
#include <cstdint>
#include <memory>
#include <new>
#include <string>
#include <type_traits>
#include <vector>

#include "common/types.h"

namespace kerascnn {

namespace py = pybind11;

using Pair = std::array<int64_t, 2>;
using Four = std::array<int64_t, 4>;

// NumPy has no bfloat16: 16-bit types travel as uint16 under functions of their own names.
template <typename T>
using Array = py::array_t<std::conditional_t<sizeof(T) == 2, uint16_t, T>, py::array::c_style>;

template <typename T>
const T* DataOf(const Array<T>& array) {
  return reinterpret_cast<const T*>(array.data());
}
template <typename T>
T* MutableDataOf(Array<T>& array) {
  return reinterpret_cast<T*>(array.mutable_data());
}

template <typename T>
Array<T> Empty(const Four& shape) {
  return Array<T>(std::vector<py::ssize_t>(shape.begin(), shape.end()));
}
template <typename T>
Array<T> EmptyLike(const py::array& like) {
  return Array<T>(std::vector<py::ssize_t>(like.shape(), like.shape() + like.ndim()));
}

inline Four ShapeOf(const py::array& array, const char* name) {
  if (array.ndim() != 4) throw py::value_error(std::string(name) + " must have four dimensions");
  return {array.shape(0), array.shape(1), array.shape(2), array.shape(3)};
}

// What a Check() of a kernel said, as a ValueError.
inline void ThrowIfWrong(const std::string& wrong) {
  if (!wrong.empty()) throw py::value_error(wrong);
}

// Calls kernel(scratch) with that many bytes, on a cache line, and without Python's lock. Negative: more than there
// are.
template <typename Kernel>
void RunWithScratch(int64_t bytes, const Kernel& kernel) {
  if (bytes < 0) throw std::bad_alloc();
  py::gil_scoped_release release;
  const auto free = [](void* memory) { ::operator delete(memory, std::align_val_t(64)); };
  const std::unique_ptr<void, decltype(free)> scratch(::operator new(bytes, std::align_val_t(64)), free);
  kernel(scratch.get());
}

}  // namespace kerascnn

#endif  // KERASCNN_PYTHON_ARRAYS_H_
