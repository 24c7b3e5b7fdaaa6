// SAF-pooling on arrays of other libraries; see buffers.h.
#include "kernels/saf_pool2d.h"
#include "python/arrays.h"
#include "python/buffers.h"
#ifdef KERASCNN_CUDA
#include "kernels/saf_pool2d_cuda.h"
#endif

namespace kerascnn {
namespace {

SafPool2D Checked(const Buffer& x, const char* name, Pair window, Pair strides, Four padding, double rate,
                  bool per_channel) {
  if (x.shape.size() != 4) throw py::value_error(std::string(name) + " must have four dimensions");
  SafPool2D pool;
  pool.batch = x.shape[0], pool.height = x.shape[1], pool.width = x.shape[2], pool.channels = x.shape[3];
  pool.window_y = window[0], pool.window_x = window[1];
  pool.stride_y = strides[0], pool.stride_x = strides[1];
  pool.pad_y = {padding[0], padding[1]}, pool.pad_x = {padding[2], padding[3]};
  pool.rate = rate, pool.per_channel = per_channel;
  ThrowIfWrong(SafPool2DCheck(pool));
  return pool;
}

std::vector<int64_t> OutputOf(const SafPool2D& pool) {
  return {pool.batch, pool.output_height(), pool.output_width(), pool.channels};
}

void ForwardBuffers(const py::object& x, const std::array<uint32_t, 2>& key, const py::object& out,
                    const py::object& state, Pair window, Pair strides, Four padding, double rate, bool per_channel,
                    int threads, uint64_t stream) {
  const Buffer from = InputBuffer(x, "x", stream);
  const SafPool2D pool = Checked(from, "x", window, strides, padding, rate, per_channel);
  const Buffer to = OutputBuffer(out, "out", stream, from, OutputOf(pool));
  const Buffer places = state.is_none() ? Buffer() : ByteBuffer(state, "state", stream, from, OutputOf(pool), true);
  const py::gil_scoped_release release;
  Dispatch(from.type, [&](auto zero) {
    using T = decltype(zero);
    const SafKey words = {{key[0], key[1]}};
#ifdef KERASCNN_CUDA
    if (from.on_device) {
      void* const on = reinterpret_cast<void*>(stream);
      return ThrowUnlessEmpty(SafPool2DForwardCuda(pool, words, from.as<T>(), to.as<T>(), places.as<uint8_t>(), on));
    }
#endif
    SafPool2DForward(pool, words, from.as<T>(), to.as<T>(), places.as<uint8_t>(), ThreadsFor(threads));
  });
}

void GradientBuffers(const py::object& state, const py::object& dy, const py::object& out, Pair window, Pair strides,
                     Four padding, double rate, int threads, uint64_t stream) {
  const Buffer gradient = InputBuffer(dy, "dy", stream), to = InputBuffer(out, "out", stream);
  CheckAlike(gradient, to, "out");
  if (to.read_only) throw py::value_error("out must be writable");
  const SafPool2D pool = Checked(to, "out", window, strides, padding, rate, false);
  const Buffer places = ByteBuffer(state, "state", stream, to, OutputOf(pool), false);
  if (gradient.shape != OutputOf(pool)) throw py::value_error("dy must have the shape of the pooled images");
  const py::gil_scoped_release release;
  Dispatch(to.type, [&](auto zero) {
    using T = decltype(zero);
#ifdef KERASCNN_CUDA
    if (to.on_device) {
      void* const on = reinterpret_cast<void*>(stream);
      return ThrowUnlessEmpty(SafPool2DGradientCuda(pool, places.as<uint8_t>(), gradient.as<T>(), to.as<T>(), on));
    }
#endif
    SafPool2DGradient(pool, places.as<uint8_t>(), gradient.as<T>(), to.as<T>(), ThreadsFor(threads));
  });
}

}  // namespace

void BindSafPool2DBuffers(py::module_& module) {
  using py::arg;
  const Pair two = {2, 2};
  const Four none = {0, 0, 0, 0};
  module.def("saf_pool2d_forward_into", &ForwardBuffers, arg("x"), arg("key"), arg("out"), arg("state") = py::none(),
             arg("window") = two, arg("strides") = two, arg("padding") = none, arg("rate") = 0.2,
             arg("per_channel") = false, arg("n_threads") = 1, arg("stream") = 0,
             "x [N, H, W, C], key of two 32-bit numbers, padding (top, bottom, left, right), by DLPack or "
             "__cuda_array_interface__ -> out and, unless None, state (uint8).");
  module.def("saf_pool2d_gradient_into", &GradientBuffers, arg("state"), arg("dy"), arg("out"), arg("window") = two,
             arg("strides") = two, arg("padding") = none, arg("rate") = 0.2, arg("n_threads") = 1, arg("stream") = 0,
             "state, dy -> out, the gradient with respect to x, whose shape it has.");
}

}  // namespace kerascnn
