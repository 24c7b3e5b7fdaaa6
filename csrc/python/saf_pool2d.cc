// SAF-pooling on NumPy arrays.
#include "kernels/saf_pool2d.h"

#include <array>
#include <cstdint>
#include <string>

#include "kernels/saf_pool2d_body.h"
#include "python/arrays.h"

namespace kerascnn {
namespace {

SafPool2D Checked(const Four& x, Pair window, Pair strides, Four padding, double rate, bool per_channel) {
  SafPool2D pool;
  pool.batch = x[0], pool.height = x[1], pool.width = x[2], pool.channels = x[3];
  pool.window_y = window[0], pool.window_x = window[1];
  pool.stride_y = strides[0], pool.stride_x = strides[1];
  pool.pad_y = {padding[0], padding[1]}, pool.pad_x = {padding[2], padding[3]};
  pool.rate = rate, pool.per_channel = per_channel;
  ThrowIfWrong(SafPool2DCheck(pool));
  return pool;
}

Four OutputOf(const SafPool2D& pool) { return {pool.batch, pool.output_height(), pool.output_width(), pool.channels}; }

template <typename T>
py::tuple Forward(const Array<T>& x, std::array<uint32_t, 2> key, Pair window, Pair strides, Four padding, double rate,
                  bool per_channel, int threads) {
  const SafPool2D pool = Checked(ShapeOf(x, "x"), window, strides, padding, rate, per_channel);
  Array<T> y = Empty<T>(OutputOf(pool));
  Array<uint8_t> state = Empty<uint8_t>(OutputOf(pool));
  const T* from = DataOf<T>(x);
  T* to = MutableDataOf<T>(y);
  uint8_t* bytes = state.mutable_data();
  {
    py::gil_scoped_release release;
    SafPool2DForward(pool, {{key[0], key[1]}}, from, to, bytes, ThreadsFor(threads));
  }
  return py::make_tuple(y, state);
}

template <typename T>
Array<T> Gradient(Four x_shape, const Array<uint8_t>& state, const Array<T>& dy, Pair window, Pair strides,
                  Four padding, double rate, int threads) {
  const SafPool2D pool = Checked(x_shape, window, strides, padding, rate, false);
  if (ShapeOf(state, "state") != OutputOf(pool) || ShapeOf(dy, "dy") != OutputOf(pool)) {
    throw py::value_error("state and dy must have the shape of the pooled images");
  }
  Array<T> dx = Empty<T>(x_shape);
  const T* from = DataOf<T>(dy);
  T* to = MutableDataOf<T>(dx);
  const uint8_t* bytes = state.data();
  py::gil_scoped_release release;
  SafPool2DGradient(pool, bytes, from, to, ThreadsFor(threads));
  return dx;
}

std::array<uint32_t, 4> Philox(uint64_t counter, std::array<uint32_t, 2> key) {
  std::array<uint32_t, 4> words;
  PhiloxBlock(counter, key[0], key[1], words.data());
  return words;
}

template <typename T>
void Define(py::module_& module, const std::string& suffix) {
  using py::arg;
  const Pair two = {2, 2};
  const Four none = {0, 0, 0, 0};
  module.def(("saf_pool2d_forward" + suffix).c_str(), &Forward<T>, arg("x").noconvert(), arg("key"),
             arg("window") = two, arg("strides") = two, arg("padding") = none, arg("rate") = 0.2,
             arg("per_channel") = false, arg("n_threads") = 1,
             "x [N, H, W, C], key of two 32-bit numbers, padding (top, bottom, left, right) -> (y, state).");
  module.def(("saf_pool2d_gradient" + suffix).c_str(), &Gradient<T>, arg("x_shape"), arg("state").noconvert(),
             arg("dy").noconvert(), arg("window") = two, arg("strides") = two, arg("padding") = none, arg("rate") = 0.2,
             arg("n_threads") = 1, "state, dy -> dx, the gradient with respect to x.");
}

}  // namespace

void BindSafPool2D(py::module_& module) {
  Define<float>(module, "");
  Define<double>(module, "");
  Define<bfloat16>(module, "_bfloat16");
  Define<half>(module, "_float16");
  module.def("philox", &Philox, py::arg("counter"), py::arg("key"),
             "The four words of one block of Philox4x32-10; the counter's upper 64 bits are zero.");
}

}  // namespace kerascnn
