// Local response normalization on NumPy arrays.
#include "kernels/lrn.h"

#include <algorithm>
#include <cstdint>
#include <string>

#include "python/arrays.h"

namespace kerascnn {
namespace {

LrnParams Checked(int64_t depth_radius, double bias, double alpha, double beta, int64_t rank) {
  const LrnParams params{depth_radius, bias, alpha, beta};
  ThrowIfWrong(LrnCheck(params, rank));
  return params;
}

template <typename T>
Array<T> Forward(const Array<T>& x, int64_t depth_radius, double bias, double alpha, double beta, int threads) {
  const LrnParams params = Checked(depth_radius, bias, alpha, beta, x.ndim());
  Array<T> y = EmptyLike<T>(x);
  const int64_t channels = x.shape(x.ndim() - 1);
  const T* from = DataOf<T>(x);
  T* to = MutableDataOf<T>(y);
  const int64_t rows = channels ? x.size() / channels : 0;
  py::gil_scoped_release release;
  LrnForward(params, rows, channels, from, to, ThreadsFor(threads));
  return y;
}

template <typename T>
Array<T> Gradient(const Array<T>& x, const Array<T>& dy, int64_t depth_radius, double bias, double alpha, double beta,
                  int threads) {
  const LrnParams params = Checked(depth_radius, bias, alpha, beta, x.ndim());
  if (x.ndim() != dy.ndim() || !std::equal(x.shape(), x.shape() + x.ndim(), dy.shape())) {
    throw py::value_error("dy must have the shape of x");
  }
  Array<T> dx = EmptyLike<T>(x);
  const int64_t channels = x.shape(x.ndim() - 1);
  const T *from = DataOf<T>(x), *gradient = DataOf<T>(dy);
  T* to = MutableDataOf<T>(dx);
  const int64_t rows = channels ? x.size() / channels : 0;
  py::gil_scoped_release release;
  LrnGradient(params, rows, channels, from, gradient, to, ThreadsFor(threads));
  return dx;
}

template <typename T>
void Define(py::module_& module, const std::string& suffix) {
  using py::arg;
  module.def(("lrn_forward" + suffix).c_str(), &Forward<T>, arg("x").noconvert(), arg("depth_radius") = 2,
             arg("bias") = 2.0, arg("alpha") = 1e-4, arg("beta") = 0.75, arg("n_threads") = 1,
             "x of any rank from 2, channels last, C order -> y of the same shape and type.");
  module.def(("lrn_gradient" + suffix).c_str(), &Gradient<T>, arg("x").noconvert(), arg("dy").noconvert(),
             arg("depth_radius") = 2, arg("bias") = 2.0, arg("alpha") = 1e-4, arg("beta") = 0.75, arg("n_threads") = 1,
             "x, dy of one shape -> dx, the gradient with respect to x.");
}

}  // namespace

void BindLrn(py::module_& module) {
  Define<float>(module, "");
  Define<double>(module, "");
  Define<bfloat16>(module, "_bfloat16");
  Define<half>(module, "_float16");
}

}  // namespace kerascnn
