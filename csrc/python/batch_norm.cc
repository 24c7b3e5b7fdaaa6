// Batch normalisation on NumPy arrays.
#include "kernels/batch_norm.h"

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <algorithm>
#include <vector>

namespace py = pybind11;

namespace kerascnn {
namespace {

template <typename T>
using Array = py::array_t<T, py::array::c_style>;

template <typename T>
BatchNorm Checked(const Array<T>& x, const Array<T>& scale, const Array<T>& offset, double epsilon) {
  const int64_t channels = x.ndim() > 0 ? x.shape(x.ndim() - 1) : -1;
  const std::string wrong = BatchNormCheck(epsilon, x.ndim(), channels, scale.size(), offset.size());
  if (!wrong.empty()) throw py::value_error(wrong);
  return {channels ? x.size() / channels : 0, channels, epsilon};
}

template <typename T>
Array<T> EmptyLike(const Array<T>& x) {
  return Array<T>(std::vector<py::ssize_t>(x.shape(), x.shape() + x.ndim()));
}

// Working memory, aligned to cache lines.
class Scratch {
 public:
  explicit Scratch(int64_t bytes) : memory_(bytes + 64) {}
  void* get() { return reinterpret_cast<void*>((reinterpret_cast<uintptr_t>(memory_.data()) + 63) / 64 * 64); }

 private:
  std::vector<char> memory_;
};

template <typename T>
py::tuple Forward(const Array<T>& x, const Array<T>& scale, const Array<T>& offset, double epsilon, int threads) {
  const BatchNorm norm = Checked(x, scale, offset, epsilon);
  Array<T> y = EmptyLike(x), mean = EmptyLike(scale), variance = EmptyLike(scale);
  const T *from = x.data(), *factors = scale.data(), *offsets = offset.data();
  T *to = y.mutable_data(), *means = mean.mutable_data(), *variances = variance.mutable_data();
  {
    py::gil_scoped_release release;
    Scratch scratch(BatchNormScratchBytes<T>(norm));
    BatchNormForward(norm, from, factors, offsets, to, means, variances, scratch.get(), ThreadsFor(threads));
  }
  return py::make_tuple(y, mean, variance);
}

template <typename T>
py::tuple Backward(const Array<T>& x, const Array<T>& scale, const Array<T>& offset, const Array<T>& mean,
                   const Array<T>& variance, const Array<T>& dy, double epsilon, bool relu, int threads) {
  const BatchNorm norm = Checked(x, scale, offset, epsilon);
  if (mean.size() != norm.channels || variance.size() != norm.channels) {
    throw py::value_error("mean and variance must have the length of scale");
  }
  if (x.ndim() != dy.ndim() || !std::equal(x.shape(), x.shape() + x.ndim(), dy.shape())) {
    throw py::value_error("dy must have the shape of x");
  }
  Array<T> dx = EmptyLike(x), dscale = EmptyLike(scale), doffset = EmptyLike(scale);
  const T *from = x.data(), *factors = scale.data(), *offsets = offset.data(), *gradient = dy.data();
  const T *means = mean.data(), *variances = variance.data();
  T *to = dx.mutable_data(), *to_scale = dscale.mutable_data(), *to_offset = doffset.mutable_data();
  {
    py::gil_scoped_release release;
    Scratch scratch(BatchNormScratchBytes<T>(norm));
    BatchNormBackward(norm, relu, from, factors, offsets, means, variances, gradient, to, to_scale, to_offset,
                      scratch.get(), ThreadsFor(threads));
  }
  return py::make_tuple(dx, dscale, doffset);
}

template <typename T>
void Define(py::module_& module) {
  using py::arg;
  module.def("batch_norm_forward", &Forward<T>, arg("x").noconvert(), arg("scale").noconvert(),
             arg("offset").noconvert(), arg("epsilon") = 1e-3, arg("n_threads") = 1,
             "x of any rank from 2, channels last, float32 or float64, C order -> (y, mean, variance).");
  module.def("batch_norm_backward", &Backward<T>, arg("x").noconvert(), arg("scale").noconvert(),
             arg("offset").noconvert(), arg("mean").noconvert(), arg("variance").noconvert(), arg("dy").noconvert(),
             arg("epsilon") = 1e-3, arg("relu") = false, arg("n_threads") = 1,
             "x, scale, offset, the statistics and dy, the gradient of y or of max(y, 0) -> (dx, dscale, doffset).");
}

}  // namespace

void BindBatchNorm(py::module_& module) {
  Define<float>(module);
  Define<double>(module);
}

}  // namespace kerascnn
