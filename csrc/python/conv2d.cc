// conv2d and its gradients on NumPy arrays.
#include "kernels/conv2d.h"

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <array>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "common/types.h"

namespace py = pybind11;

namespace kerascnn {
namespace {

using Pair = std::array<int64_t, 2>;
using Four = std::array<int64_t, 4>;
template <typename T>
using Array = py::array_t<T, py::array::c_style>;

// NumPy has no bfloat16: 16-bit types travel as uint16 under functions of their own names.
template <typename T>
struct Stored {
  using type = T;
};
template <>
struct Stored<bfloat16> {
  using type = uint16_t;
};
template <>
struct Stored<half> {
  using type = uint16_t;
};
template <typename T>
using StoredArray = Array<typename Stored<T>::type>;

Conv2D Checked(const Four& x, const Four& w, Pair strides, Four padding, Pair dilations) {
  Conv2D conv;
  conv.batch = x[0], conv.height = x[1], conv.width = x[2], conv.channels = x[3];
  conv.kernel_height = w[0], conv.kernel_width = w[1], conv.group_channels = w[2], conv.filters = w[3];
  conv.stride_y = strides[0], conv.stride_x = strides[1];
  conv.dilation_y = dilations[0], conv.dilation_x = dilations[1];
  conv.pad_y = {padding[0], padding[1]}, conv.pad_x = {padding[2], padding[3]};
  const std::string wrong = Conv2DCheck(conv);
  if (!wrong.empty()) throw py::value_error(wrong);
  return conv;
}

Four ShapeOf(const py::array& array, const char* name) {
  if (array.ndim() != 4) throw py::value_error(std::string(name) + " must have four dimensions");
  return {array.shape(0), array.shape(1), array.shape(2), array.shape(3)};
}

Four OutputOf(const Conv2D& conv) { return {conv.batch, conv.output_height(), conv.output_width(), conv.filters}; }

// Runs a kernel into a new array; `threads` std::threads.
template <typename T, typename Kernel>
StoredArray<T> Run(const Conv2D& conv, Conv2DKind kind, const Four& shape, int threads, const Kernel& kernel) {
  StoredArray<T> result(std::vector<py::ssize_t>(shape.begin(), shape.end()));
  const ThreadsFor parallel(threads);
  const int64_t bytes = Conv2DScratchBytes(conv, kind, sizeof(T), parallel.threads());
  if (bytes < 0) throw std::bad_alloc();
  T* to = reinterpret_cast<T*>(result.mutable_data());
  py::gil_scoped_release release;
  const auto free = [](void* memory) { ::operator delete(memory, std::align_val_t(64)); };
  const std::unique_ptr<void, decltype(free)> scratch(::operator new(bytes, std::align_val_t(64)), free);
  kernel(to, scratch.get(), parallel);
  return result;
}

template <typename T>
const T* DataOf(const StoredArray<T>& array) {
  return reinterpret_cast<const T*>(array.data());
}

template <typename T>
StoredArray<T> Forward(const StoredArray<T>& x, const StoredArray<T>& w, Pair strides, Four padding, Pair dilations,
                       int threads) {
  const Conv2D conv = Checked(ShapeOf(x, "x"), ShapeOf(w, "filters"), strides, padding, dilations);
  const T *from = DataOf<T>(x), *filters = DataOf<T>(w);
  return Run<T>(conv, Conv2DKind::kForward, OutputOf(conv), threads, [&](T* y, void* scratch, const auto& parallel) {
    Conv2DForward(conv, from, filters, y, scratch, parallel);
  });
}

Four CheckedGradient(const Conv2D& conv, const py::array& dy) {
  if (ShapeOf(dy, "dy") != OutputOf(conv)) throw py::value_error("dy must have the shape of the convolution's result");
  return ShapeOf(dy, "dy");
}

template <typename T>
StoredArray<T> InputGradient(Four x_shape, const StoredArray<T>& w, const StoredArray<T>& dy, Pair strides,
                             Four padding, Pair dilations, int threads) {
  const Conv2D conv = Checked(x_shape, ShapeOf(w, "filters"), strides, padding, dilations);
  CheckedGradient(conv, dy);
  const T *filters = DataOf<T>(w), *from = DataOf<T>(dy);
  return Run<T>(conv, Conv2DKind::kInputGradient, x_shape, threads, [&](T* dx, void* scratch, const auto& parallel) {
    Conv2DInputGradient(conv, filters, from, dx, scratch, parallel);
  });
}

template <typename T>
StoredArray<T> FilterGradient(const StoredArray<T>& x, Four w_shape, const StoredArray<T>& dy, Pair strides,
                              Four padding, Pair dilations, int threads) {
  const Conv2D conv = Checked(ShapeOf(x, "x"), w_shape, strides, padding, dilations);
  CheckedGradient(conv, dy);
  const T *images = DataOf<T>(x), *from = DataOf<T>(dy);
  return Run<T>(conv, Conv2DKind::kFilterGradient, w_shape, threads, [&](T* dw, void* scratch, const auto& parallel) {
    Conv2DFilterGradient(conv, images, from, dw, scratch, parallel);
  });
}

template <typename T>
void Define(py::module_& module, const std::string& suffix) {
  using py::arg;
  const Pair one = {1, 1};
  const Four none = {0, 0, 0, 0};
  module.def(("conv2d_forward" + suffix).c_str(), &Forward<T>, arg("x").noconvert(), arg("filters").noconvert(),
             arg("strides") = one, arg("padding") = none, arg("dilations") = one, arg("n_threads") = 1,
             "x [N, H, W, C], filters [kh, kw, C/groups, O], padding (top, bottom, left, right) -> y.");
  module.def(("conv2d_input_gradient" + suffix).c_str(), &InputGradient<T>, arg("x_shape"), arg("filters").noconvert(),
             arg("dy").noconvert(), arg("strides") = one, arg("padding") = none, arg("dilations") = one,
             arg("n_threads") = 1, "filters, dy -> the gradient with respect to x.");
  module.def(("conv2d_filter_gradient" + suffix).c_str(), &FilterGradient<T>, arg("x").noconvert(),
             arg("filters_shape"), arg("dy").noconvert(), arg("strides") = one, arg("padding") = none,
             arg("dilations") = one, arg("n_threads") = 1, "x, dy -> the gradient with respect to the filters.");
}

}  // namespace

void BindConv2D(py::module_& module) {
  Define<float>(module, "");
  Define<double>(module, "");
  Define<bfloat16>(module, "_bfloat16");
  Define<half>(module, "_float16");
}

}  // namespace kerascnn
