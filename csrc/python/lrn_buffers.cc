// Local response normalization on arrays of other libraries; see buffers.h.
#include "kernels/lrn.h"
#include "python/buffers.h"
#ifdef KERASCNN_CUDA
#include "common/cuda_device.h"
#include "kernels/lrn_cuda.h"
#endif

namespace kerascnn {
namespace {

struct Call {
  LrnParams params;
  int64_t rows = 0, channels = 0;
};

Call Checked(const Buffer& x, int64_t depth_radius, double bias, double alpha, double beta) {
  Call call{{depth_radius, bias, alpha, beta}};
  const std::string wrong = LrnCheck(call.params, static_cast<int64_t>(x.shape.size()));
  if (!wrong.empty()) throw py::value_error(wrong);
  call.channels = x.shape.back();
  call.rows = call.channels ? x.elements() / call.channels : 0;
  return call;
}

template <typename T>
std::string Forward(const Call& call, const Buffer& x, const Buffer& y, int threads, [[maybe_unused]] void* stream) {
#ifdef KERASCNN_CUDA
  if (x.on_device) return LrnForwardCuda(call.params, call.rows, call.channels, x.as<T>(), y.as<T>(), stream);
#endif
  LrnForward(call.params, call.rows, call.channels, x.as<T>(), y.as<T>(), ThreadsFor(threads));
  return "";
}

template <typename T>
std::string Gradient(const Call& call, const Buffer& x, const Buffer& dy, const Buffer& dx, int threads,
                     [[maybe_unused]] void* stream) {
#ifdef KERASCNN_CUDA
  if (x.on_device) {
    const DeviceScratch scratch(LrnGradientCudaScratchBytes(call.params, call.rows, call.channels, sizeof(T)), stream);
    if (!scratch.wrong().empty()) return scratch.wrong();
    return LrnGradientCuda(call.params, call.rows, call.channels, x.as<T>(), dy.as<T>(), dx.as<T>(), scratch.data(),
                           stream);
  }
#endif
  LrnGradient(call.params, call.rows, call.channels, x.as<T>(), dy.as<T>(), dx.as<T>(), ThreadsFor(threads));
  return "";
}

void ForwardBuffers(const py::object& x, const py::object& out, int64_t depth_radius, double bias, double alpha,
                    double beta, int threads, uint64_t stream) {
  const Buffer from = InputBuffer(x, "x", stream);
  const Call call = Checked(from, depth_radius, bias, alpha, beta);
  const Buffer to = OutputBuffer(out, "out", stream, from, from.shape);
  const py::gil_scoped_release release;
  Dispatch(from.type, [&](auto zero) {
    ThrowUnlessEmpty(Forward<decltype(zero)>(call, from, to, threads, reinterpret_cast<void*>(stream)));
  });
}

void GradientBuffers(const py::object& x, const py::object& dy, const py::object& out, int64_t depth_radius,
                     double bias, double alpha, double beta, int threads, uint64_t stream) {
  const Buffer from = InputBuffer(x, "x", stream), gradient = InputBuffer(dy, "dy", stream);
  const Call call = Checked(from, depth_radius, bias, alpha, beta);
  CheckAlike(from, gradient, "dy");
  if (gradient.shape != from.shape) throw py::value_error("dy must have the shape of x");
  const Buffer to = OutputBuffer(out, "out", stream, from, from.shape);
  const py::gil_scoped_release release;
  Dispatch(from.type, [&](auto zero) {
    ThrowUnlessEmpty(Gradient<decltype(zero)>(call, from, gradient, to, threads, reinterpret_cast<void*>(stream)));
  });
}

}  // namespace

void BindLrnBuffers(py::module_& module) {
  using py::arg;
  module.def("lrn_forward", &ForwardBuffers, arg("x"), arg("out"), arg("depth_radius") = 2, arg("bias") = 2.0,
             arg("alpha") = 1e-4, arg("beta") = 0.75, arg("n_threads") = 1, arg("stream") = 0,
             "x of any rank from 2, channels last, C order, by DLPack or __cuda_array_interface__ -> out, alike.");
  module.def("lrn_gradient", &GradientBuffers, arg("x"), arg("dy"), arg("out"), arg("depth_radius") = 2,
             arg("bias") = 2.0, arg("alpha") = 1e-4, arg("beta") = 0.75, arg("n_threads") = 1, arg("stream") = 0,
             "x, dy -> out, the gradient with respect to x; all alike.");
}

}  // namespace kerascnn
