// conv2d and its gradients on NumPy arrays.
#include "kernels/conv2d.h"

#include <cstdint>
#include <optional>
#include <string>

#include "python/arrays.h"

namespace kerascnn {
namespace {

Conv2D Checked(const Four& x, const Four& w, Pair strides, Four padding, Pair dilations) {
  Conv2D conv;
  conv.batch = x[0], conv.height = x[1], conv.width = x[2], conv.channels = x[3];
  conv.kernel_height = w[0], conv.kernel_width = w[1], conv.group_channels = w[2], conv.filters = w[3];
  conv.stride_y = strides[0], conv.stride_x = strides[1];
  conv.dilation_y = dilations[0], conv.dilation_x = dilations[1];
  conv.pad_y = {padding[0], padding[1]}, conv.pad_x = {padding[2], padding[3]};
  ThrowIfWrong(Conv2DCheck(conv));
  return conv;
}

Four OutputOf(const Conv2D& conv) { return {conv.batch, conv.output_height(), conv.output_width(), conv.filters}; }

// Runs a kernel into a new array; `threads` std::threads.
template <typename T, typename Kernel>
Array<T> Run(const Conv2D& conv, Conv2DKind kind, const Four& shape, int threads, const Kernel& kernel) {
  Array<T> result = Empty<T>(shape);
  const ThreadsFor parallel(threads);
  T* to = MutableDataOf<T>(result);
  RunWithScratch(Conv2DScratchBytes(conv, kind, sizeof(T), parallel.threads()),
                 [&](void* scratch) { kernel(to, scratch, parallel); });
  return result;
}

template <typename T>
Array<T> Forward(const Array<T>& x, const Array<T>& w, Pair strides, Four padding, Pair dilations, int threads,
                 std::optional<Array<T>> bias, bool relu) {
  const Conv2D conv = Checked(ShapeOf(x, "x"), ShapeOf(w, "filters"), strides, padding, dilations);
  const T *from = DataOf<T>(x), *filters = DataOf<T>(w);
  Conv2DEpilogue<T> epilogue;
  if (bias && (bias->ndim() != 1 || bias->size() != conv.filters)) {
    throw py::value_error("bias must have one number for each output channel, " + std::to_string(conv.filters) +
                          ". Received: " + std::to_string(bias->ndim()) + " dimensions, " +
                          std::to_string(bias->size()) + " numbers");
  }
  epilogue.bias = bias ? DataOf<T>(*bias) : nullptr, epilogue.relu = relu;
  return Run<T>(conv, Conv2DKind::kForward, OutputOf(conv), threads, [&](T* y, void* scratch, const auto& parallel) {
    Conv2DForward(conv, from, filters, y, scratch, parallel, epilogue);
  });
}

Four CheckedGradient(const Conv2D& conv, const py::array& dy) {
  if (ShapeOf(dy, "dy") != OutputOf(conv)) throw py::value_error("dy must have the shape of the convolution's result");
  return ShapeOf(dy, "dy");
}

template <typename T>
Array<T> InputGradient(Four x_shape, const Array<T>& w, const Array<T>& dy, Pair strides, Four padding, Pair dilations,
                       int threads) {
  const Conv2D conv = Checked(x_shape, ShapeOf(w, "filters"), strides, padding, dilations);
  CheckedGradient(conv, dy);
  const T *filters = DataOf<T>(w), *from = DataOf<T>(dy);
  return Run<T>(conv, Conv2DKind::kInputGradient, x_shape, threads, [&](T* dx, void* scratch, const auto& parallel) {
    Conv2DInputGradient(conv, filters, from, dx, scratch, parallel);
  });
}

template <typename T>
Array<T> FilterGradient(const Array<T>& x, Four w_shape, const Array<T>& dy, Pair strides, Four padding, Pair dilations,
                        int threads) {
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
             arg("bias").noconvert() = py::none(), arg("relu") = false,
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
