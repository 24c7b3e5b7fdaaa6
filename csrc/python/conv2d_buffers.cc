// conv2d and its gradients on arrays of other libraries; see buffers.h.
#include <memory>
#include <new>

#include "kernels/conv2d.h"
#include "python/arrays.h"
#include "python/buffers.h"
#ifdef KERASCNN_CUDA
#include "common/cuda_device.h"
#include "kernels/conv2d_cuda.h"
#endif

namespace kerascnn {
namespace {

void CheckRank(const Buffer& buffer, const char* name) {
  if (buffer.shape.size() != 4) throw py::value_error(std::string(name) + " must have four dimensions");
}

Conv2D Checked(const Buffer& x, const Buffer& w, Pair strides, Four padding, Pair dilations) {
  CheckRank(x, "x");
  CheckRank(w, "filters");
  Conv2D conv;
  conv.batch = x.shape[0], conv.height = x.shape[1], conv.width = x.shape[2], conv.channels = x.shape[3];
  conv.kernel_height = w.shape[0], conv.kernel_width = w.shape[1];
  conv.group_channels = w.shape[2], conv.filters = w.shape[3];
  conv.stride_y = strides[0], conv.stride_x = strides[1];
  conv.dilation_y = dilations[0], conv.dilation_x = dilations[1];
  conv.pad_y = {padding[0], padding[1]}, conv.pad_x = {padding[2], padding[3]};
  ThrowIfWrong(Conv2DCheck(conv));
  return conv;
}

std::vector<int64_t> OutputOf(const Conv2D& conv) {
  return {conv.batch, conv.output_height(), conv.output_width(), conv.filters};
}

template <typename T>
std::string OnCpu(const Conv2D& conv, Conv2DKind kind, const Buffer& first, const Buffer& second, const Buffer& out,
                  int threads) {
  const ThreadsFor parallel(threads);
  const int64_t bytes = Conv2DScratchBytes(conv, kind, sizeof(T), parallel.threads());
  if (bytes < 0) throw std::bad_alloc();
  const auto free = [](void* memory) { ::operator delete(memory, std::align_val_t(64)); };
  const std::unique_ptr<void, decltype(free)> scratch(::operator new(bytes, std::align_val_t(64)), free);
  const T *a = first.as<T>(), *b = second.as<T>();
  if (kind == Conv2DKind::kForward) Conv2DForward(conv, a, b, out.as<T>(), scratch.get(), parallel);
  if (kind == Conv2DKind::kInputGradient) Conv2DInputGradient(conv, a, b, out.as<T>(), scratch.get(), parallel);
  if (kind == Conv2DKind::kFilterGradient) Conv2DFilterGradient(conv, a, b, out.as<T>(), scratch.get(), parallel);
  return "";
}

#ifdef KERASCNN_CUDA
template <typename T>
std::string OnDevice(const Conv2D& conv, Conv2DKind kind, const Buffer& first, const Buffer& second, const Buffer& out,
                     void* stream) {
  const T *a = first.as<T>(), *b = second.as<T>();
  if (kind == Conv2DKind::kForward) return Conv2DForwardCuda(conv, a, b, out.as<T>(), stream);
  const DeviceScratch scratch(Conv2DCudaScratchBytes(conv, kind, sizeof(T)), stream);
  if (!scratch.wrong().empty()) return scratch.wrong();
  const auto gradient = kind == Conv2DKind::kInputGradient ? Conv2DInputGradientCuda<T> : Conv2DFilterGradientCuda<T>;
  return gradient(conv, a, b, out.as<T>(), scratch.data(), stream);
}
#endif

void Run(const Conv2D& conv, Conv2DKind kind, const Buffer& first, const Buffer& second, const Buffer& out, int threads,
         [[maybe_unused]] uint64_t stream) {
  const py::gil_scoped_release release;
  Dispatch(first.type, [&](auto zero) {
    using T = decltype(zero);
#ifdef KERASCNN_CUDA
    if (first.on_device) {
      return ThrowUnlessEmpty(OnDevice<T>(conv, kind, first, second, out, reinterpret_cast<void*>(stream)));
    }
#endif
    ThrowUnlessEmpty(OnCpu<T>(conv, kind, first, second, out, threads));
  });
}

void Forward(const py::object& x, const py::object& w, const py::object& out, Pair strides, Four padding,
             Pair dilations, int threads, uint64_t stream) {
  const Buffer images = InputBuffer(x, "x", stream), filters = InputBuffer(w, "filters", stream);
  CheckAlike(images, filters, "filters");
  const Conv2D conv = Checked(images, filters, strides, padding, dilations);
  const Buffer y = OutputBuffer(out, "out", stream, images, OutputOf(conv));
  Run(conv, Conv2DKind::kForward, images, filters, y, threads, stream);
}

// The shape of the result is that of `out`.
template <Conv2DKind kKind>
void Gradient(const py::object& first, const py::object& dy, const py::object& out, Pair strides, Four padding,
              Pair dilations, int threads, uint64_t stream) {
  constexpr bool kFilters = kKind == Conv2DKind::kFilterGradient;
  const Buffer given = InputBuffer(first, kFilters ? "x" : "filters", stream), wanted = InputBuffer(out, "out", stream);
  const Buffer gradient = InputBuffer(dy, "dy", stream);
  CheckAlike(given, gradient, "dy");
  const Conv2D conv = Checked(kFilters ? given : wanted, kFilters ? wanted : given, strides, padding, dilations);
  if (gradient.shape != OutputOf(conv)) throw py::value_error("dy must have the shape of the convolution's result");
  const Buffer result = OutputBuffer(out, "out", stream, given, wanted.shape);
  Run(conv, kKind, given, gradient, result, threads, stream);
}

}  // namespace

void BindConv2DBuffers(py::module_& module) {
  using py::arg;
  const Pair one = {1, 1};
  const Four none = {0, 0, 0, 0};
  const auto define = [&](const char* name, auto function, const char* first, const char* second, const char* text) {
    module.def(name, function, arg(first), arg(second), arg("out"), arg("strides") = one, arg("padding") = none,
               arg("dilations") = one, arg("n_threads") = 1, arg("stream") = 0, text);
  };
  define("conv2d_forward", &Forward, "x", "filters",
         "x [N, H, W, C], filters [kh, kw, C/groups, O] -> out, by DLPack or __cuda_array_interface__.");
  define("conv2d_input_gradient", &Gradient<Conv2DKind::kInputGradient>, "filters", "dy",
         "filters, dy -> out, of the shape of x.");
  define("conv2d_filter_gradient", &Gradient<Conv2DKind::kFilterGradient>, "x", "dy",
         "x, dy -> out, of the shape of the filters.");
}

}  // namespace kerascnn
