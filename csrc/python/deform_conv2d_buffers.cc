// deform_conv2d on arrays of other libraries; see buffers.h.
#include <memory>
#include <new>

#include "kernels/deform_conv2d.h"
#include "python/arrays.h"
#include "python/buffers.h"
#ifdef KERASCNN_CUDA
#include "common/cuda_device.h"
#include "kernels/deform_conv2d_cuda.h"
#endif

namespace kerascnn {
namespace {

// The inputs of both directions. Without a mask its buffer is empty: a null pointer.
struct Inputs {
  Buffer x, w, offset, mask;
  DeformConv2D deform;

  Inputs(const py::object& images, const py::object& filters, const py::object& offsets, const py::object& weights,
         int64_t offset_groups, Pair strides, Four padding, Pair dilations, uint64_t stream)
      : x(InputBuffer(images, "x", stream)),
        w(InputBuffer(filters, "filters", stream)),
        offset(InputBuffer(offsets, "offset", stream)) {
    CheckAlike(x, w, "filters");
    CheckAlike(x, offset, "offset");
    if (x.shape.size() != 4 || w.shape.size() != 4) throw py::value_error("x and filters must have four dimensions");
    Conv2D& conv = deform.conv;
    conv.batch = x.shape[0], conv.height = x.shape[1], conv.width = x.shape[2], conv.channels = x.shape[3];
    conv.kernel_height = w.shape[0], conv.kernel_width = w.shape[1];
    conv.group_channels = w.shape[2], conv.filters = w.shape[3];
    conv.stride_y = strides[0], conv.stride_x = strides[1];
    conv.dilation_y = dilations[0], conv.dilation_x = dilations[1];
    conv.pad_y = {padding[0], padding[1]}, conv.pad_x = {padding[2], padding[3]};
    deform.offset_groups = offset_groups;
    ThrowIfWrong(DeformConv2DCheck(deform));
    if (offset.shape != OutputShape(2 * deform.mask_depth())) {
      throw py::value_error("offset must be [N, output height, output width, offset groups * taps * 2]");
    }
    if (weights.is_none()) return;
    mask = InputBuffer(weights, "mask", stream);
    CheckAlike(x, mask, "mask");
    if (mask.shape != OutputShape(deform.mask_depth())) {
      throw py::value_error("mask must be [N, output height, output width, offset groups * taps]");
    }
  }

  std::vector<int64_t> OutputShape(int64_t depth) const {
    return {deform.conv.batch, deform.conv.output_height(), deform.conv.output_width(), depth};
  }
};

// Working memory of the CPU's kernels.
template <typename Kernel>
void OnCpu(const DeformConv2D& deform, bool gradient, int element_bytes, int threads, const Kernel& kernel) {
  const ThreadsFor parallel(threads);
  const int64_t bytes = DeformConv2DScratchBytes(deform, gradient, element_bytes, parallel.threads());
  if (bytes < 0) throw std::bad_alloc();
  const auto free = [](void* memory) { ::operator delete(memory, std::align_val_t(64)); };
  const std::unique_ptr<void, decltype(free)> scratch(::operator new(bytes, std::align_val_t(64)), free);
  kernel(scratch.get(), parallel);
}

void ForwardBuffers(const py::object& x, const py::object& filters, const py::object& offset, const py::object& mask,
                    const py::object& out, int64_t offset_groups, Pair strides, Four padding, Pair dilations,
                    int threads, uint64_t stream) {
  const Inputs in(x, filters, offset, mask, offset_groups, strides, padding, dilations, stream);
  const Buffer y = OutputBuffer(out, "out", stream, in.x, in.OutputShape(in.deform.conv.filters));
  const py::gil_scoped_release release;
  Dispatch(in.x.type, [&](auto zero) {
    using T = decltype(zero);
    const T *images = in.x.as<T>(), *w = in.w.as<T>(), *offsets = in.offset.as<T>(), *weights = in.mask.as<T>();
#ifdef KERASCNN_CUDA
    if (in.x.on_device) {
      void* const on = reinterpret_cast<void*>(stream);
      const DeviceScratch scratch(DeformConv2DCudaScratchBytes(in.deform, false, sizeof(T)), on);
      ThrowUnlessEmpty(scratch.wrong());
      return ThrowUnlessEmpty(
          DeformConv2DForwardCuda(in.deform, images, w, offsets, weights, y.as<T>(), scratch.data(), on));
    }
#endif
    OnCpu(in.deform, false, sizeof(T), threads, [&](void* scratch, const ParallelFor& parallel) {
      DeformConv2DForward(in.deform, images, w, offsets, weights, y.as<T>(), scratch, parallel);
    });
  });
}

void GradientBuffers(const py::object& x, const py::object& filters, const py::object& offset, const py::object& mask,
                     const py::object& dy, const py::object& dx, const py::object& dfilters, const py::object& doffset,
                     const py::object& dmask, int64_t offset_groups, Pair strides, Four padding, Pair dilations,
                     int threads, uint64_t stream) {
  const Inputs in(x, filters, offset, mask, offset_groups, strides, padding, dilations, stream);
  const Buffer gradient = InputBuffer(dy, "dy", stream);
  CheckAlike(in.x, gradient, "dy");
  if (gradient.shape != in.OutputShape(in.deform.conv.filters)) {
    throw py::value_error("dy must have the shape of the convolution's result");
  }
  if (mask.is_none() != dmask.is_none()) throw py::value_error("dmask must be None exactly where mask is");
  const Buffer to_x = OutputBuffer(dx, "dx", stream, in.x, in.x.shape);
  const Buffer to_w = OutputBuffer(dfilters, "dfilters", stream, in.x, in.w.shape);
  const Buffer to_offset = OutputBuffer(doffset, "doffset", stream, in.x, in.offset.shape);
  const Buffer to_mask = mask.is_none() ? Buffer() : OutputBuffer(dmask, "dmask", stream, in.x, in.mask.shape);
  const py::gil_scoped_release release;
  Dispatch(in.x.type, [&](auto zero) {
    using T = decltype(zero);
    const T *images = in.x.as<T>(), *w = in.w.as<T>(), *offsets = in.offset.as<T>(), *weights = in.mask.as<T>();
    T *dx = to_x.as<T>(), *dw = to_w.as<T>(), *doffset = to_offset.as<T>(), *dmask = to_mask.as<T>();
#ifdef KERASCNN_CUDA
    if (in.x.on_device) {
      void* const on = reinterpret_cast<void*>(stream);
      const DeviceScratch scratch(DeformConv2DCudaScratchBytes(in.deform, true, sizeof(T)), on);
      ThrowUnlessEmpty(scratch.wrong());
      return ThrowUnlessEmpty(DeformConv2DGradientCuda(in.deform, images, w, offsets, weights, gradient.as<T>(), dx, dw,
                                                       doffset, dmask, scratch.data(), on));
    }
#endif
    OnCpu(in.deform, true, sizeof(T), threads, [&](void* scratch, const ParallelFor& parallel) {
      DeformConv2DGradient(in.deform, images, w, offsets, weights, gradient.as<T>(), dx, dw, doffset, dmask, scratch,
                           parallel);
    });
  });
}

}  // namespace

void BindDeformConv2DBuffers(py::module_& module) {
  using py::arg;
  const Pair one = {1, 1};
  const Four none = {0, 0, 0, 0};
  module.def("deform_conv2d_forward_into", &ForwardBuffers, arg("x"), arg("filters"), arg("offset"), arg("mask"),
             arg("out"), arg("offset_groups") = 1, arg("strides") = one, arg("padding") = none, arg("dilations") = one,
             arg("n_threads") = 1, arg("stream") = 0,
             "x [N, H, W, C], filters [kh, kw, C/groups, O], offset [N, Ho, Wo, offset_groups * kh * kw * 2], mask the "
             "same without the 2, or None, by DLPack or __cuda_array_interface__ -> out.");
  module.def("deform_conv2d_gradient_into", &GradientBuffers, arg("x"), arg("filters"), arg("offset"), arg("mask"),
             arg("dy"), arg("dx"), arg("dfilters"), arg("doffset"), arg("dmask"), arg("offset_groups") = 1,
             arg("strides") = one, arg("padding") = none, arg("dilations") = one, arg("n_threads") = 1,
             arg("stream") = 0, "-> dx, dfilters, doffset and dmask (None where mask is).");
}

}  // namespace kerascnn
