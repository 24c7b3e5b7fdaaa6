// deform_conv2d and its gradient on NumPy arrays.
#include "kernels/deform_conv2d.h"

#include <cstdint>
#include <optional>
#include <string>
#include <tuple>

#include "python/arrays.h"

namespace kerascnn {
namespace {

template <typename T>
using Mask = std::optional<Array<T>>;

template <typename T>
DeformConv2D Checked(const Array<T>& x, const Array<T>& w, const Array<T>& offset, const Mask<T>& mask,
                     int64_t offset_groups, Pair strides, Four padding, Pair dilations) {
  const Four xs = ShapeOf(x, "x"), ws = ShapeOf(w, "filters");
  DeformConv2D deform;
  Conv2D& conv = deform.conv;
  conv.batch = xs[0], conv.height = xs[1], conv.width = xs[2], conv.channels = xs[3];
  conv.kernel_height = ws[0], conv.kernel_width = ws[1], conv.group_channels = ws[2], conv.filters = ws[3];
  conv.stride_y = strides[0], conv.stride_x = strides[1];
  conv.dilation_y = dilations[0], conv.dilation_x = dilations[1];
  conv.pad_y = {padding[0], padding[1]}, conv.pad_x = {padding[2], padding[3]};
  deform.offset_groups = offset_groups;
  ThrowIfWrong(DeformConv2DCheck(deform));
  const Four wanted = {conv.batch, conv.output_height(), conv.output_width(), deform.mask_depth()};
  if (mask && ShapeOf(*mask, "mask") != wanted) {
    throw py::value_error("mask must be [N, output height, output width, offset groups * taps]");
  }
  if (ShapeOf(offset, "offset") != Four{wanted[0], wanted[1], wanted[2], 2 * wanted[3]}) {
    throw py::value_error("offset must be [N, output height, output width, offset groups * taps * 2]");
  }
  return deform;
}

// Calls kernel(scratch, parallel) with as much working memory as it needs and no more.
template <typename T, typename Kernel>
void Run(const DeformConv2D& deform, bool gradient, int threads, const Kernel& kernel) {
  const ThreadsFor parallel(threads);
  RunWithScratch(DeformConv2DScratchBytes(deform, gradient, sizeof(T), parallel.threads()),
                 [&](void* scratch) { kernel(scratch, parallel); });
}

template <typename T>
Array<T> Forward(const Array<T>& x, const Array<T>& w, const Array<T>& offset, const Mask<T>& mask,
                 int64_t offset_groups, Pair strides, Four padding, Pair dilations, int threads) {
  const DeformConv2D deform = Checked<T>(x, w, offset, mask, offset_groups, strides, padding, dilations);
  const Conv2D& conv = deform.conv;
  Array<T> y = Empty<T>({conv.batch, conv.output_height(), conv.output_width(), conv.filters});
  const T *images = DataOf<T>(x), *filters = DataOf<T>(w), *offsets = DataOf<T>(offset);
  const T* weights = mask ? DataOf<T>(*mask) : nullptr;
  T* to = MutableDataOf<T>(y);
  Run<T>(deform, false, threads, [&](void* scratch, const auto& parallel) {
    DeformConv2DForward(deform, images, filters, offsets, weights, to, scratch, parallel);
  });
  return y;
}

template <typename T>
std::tuple<Array<T>, Array<T>, Array<T>, Mask<T>> Gradient(const Array<T>& x, const Array<T>& w, const Array<T>& offset,
                                                           const Mask<T>& mask, const Array<T>& dy,
                                                           int64_t offset_groups, Pair strides, Four padding,
                                                           Pair dilations, int threads) {
  const DeformConv2D deform = Checked<T>(x, w, offset, mask, offset_groups, strides, padding, dilations);
  const Conv2D& conv = deform.conv;
  if (ShapeOf(dy, "dy") != Four{conv.batch, conv.output_height(), conv.output_width(), conv.filters}) {
    throw py::value_error("dy must have the shape of the convolution's result");
  }
  Array<T> dx = EmptyLike<T>(x), dw = EmptyLike<T>(w), doffset = EmptyLike<T>(offset);
  Mask<T> dmask;
  if (mask) dmask = EmptyLike<T>(*mask);
  const T *images = DataOf<T>(x), *filters = DataOf<T>(w), *offsets = DataOf<T>(offset), *from = DataOf<T>(dy);
  const T* weights = mask ? DataOf<T>(*mask) : nullptr;
  T *to_x = MutableDataOf<T>(dx), *to_w = MutableDataOf<T>(dw), *to_offset = MutableDataOf<T>(doffset);
  T* to_mask = mask ? MutableDataOf<T>(*dmask) : nullptr;
  Run<T>(deform, true, threads, [&](void* scratch, const auto& parallel) {
    DeformConv2DGradient(deform, images, filters, offsets, weights, from, to_x, to_w, to_offset, to_mask, scratch,
                         parallel);
  });
  return {dx, dw, doffset, dmask};
}

template <typename T>
void Define(py::module_& module, const std::string& suffix) {
  using py::arg;
  const Pair one = {1, 1};
  const Four none = {0, 0, 0, 0};
  module.def(("deform_conv2d_forward" + suffix).c_str(), &Forward<T>, arg("x").noconvert(), arg("filters").noconvert(),
             arg("offset").noconvert(), arg("mask").noconvert() = py::none(), arg("offset_groups") = 1,
             arg("strides") = one, arg("padding") = none, arg("dilations") = one, arg("n_threads") = 1,
             "x [N, H, W, C], filters [kh, kw, C/groups, O], offset [N, Ho, Wo, offset_groups * kh * kw * 2], mask the "
             "same without the 2, or None, padding (top, bottom, left, right) -> y.");
  module.def(("deform_conv2d_gradient" + suffix).c_str(), &Gradient<T>, arg("x").noconvert(),
             arg("filters").noconvert(), arg("offset").noconvert(), arg("mask").noconvert(), arg("dy").noconvert(),
             arg("offset_groups") = 1, arg("strides") = one, arg("padding") = none, arg("dilations") = one,
             arg("n_threads") = 1, "-> (dx, dfilters, doffset, dmask or None).");
  module.def(("deform_conv2d_scratch" + suffix).c_str(),
             [](const Array<T>& x, const Array<T>& w, const Array<T>& offset, bool gradient, int64_t offset_groups,
                Pair strides, Four padding, Pair dilations, int threads) {
               const DeformConv2D deform =
                   Checked<T>(x, w, offset, std::nullopt, offset_groups, strides, padding, dilations);
               return DeformConv2DScratchBytes(deform, gradient, sizeof(T), threads);
             },
             arg("x").noconvert(), arg("filters").noconvert(), arg("offset").noconvert(), arg("gradient"),
             arg("offset_groups") = 1, arg("strides") = one, arg("padding") = none, arg("dilations") = one,
             arg("n_threads") = 1, "Bytes of working memory.");
}

}  // namespace

void BindDeformConv2D(py::module_& module) {
  Define<float>(module, "");
  Define<double>(module, "");
  Define<bfloat16>(module, "_bfloat16");
  Define<half>(module, "_float16");
}

}  // namespace kerascnn
