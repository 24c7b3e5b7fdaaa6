// What every OpKernel here needs: TensorFlow's threads as a ParallelFor, TensorFlow's element types as ours.
#ifndef KERASCNN_TF_COMMON_H_
#define KERASCNN_TF_COMMON_H_

#include "common/parallel.h"
#include "common/types.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/platform/threadpool.h"

namespace kerascnn {

// The worker pool of the op's own device, so that kernels share TensorFlow's inter-op and intra-op limits.
class TensorFlowFor final : public ParallelFor {
 public:
  explicit TensorFlowFor(tensorflow::OpKernelContext* context)
      : workers_(context->device()->tensorflow_cpu_worker_threads()->workers),
        threads_(context->device()->tensorflow_cpu_worker_threads()->num_threads) {}
  void Run(int64_t n, int64_t cost, RangeBody body) const override {
    if (n > 0) workers_->ParallelFor(n, cost, [&body](int64_t begin, int64_t end) { body(begin, end); });
  }
  int threads() const override { return threads_; }

 private:
  tensorflow::thread::ThreadPool* workers_;
  int threads_;
};

template <typename T>
struct OurType {
  using type = T;
};
template <>
struct OurType<Eigen::bfloat16> {
  using type = bfloat16;
};
template <>
struct OurType<Eigen::half> {
  using type = half;
};
static_assert(sizeof(Eigen::bfloat16) == sizeof(bfloat16) && sizeof(Eigen::half) == sizeof(half), "");

// The tensor's elements, typed for kernels.
template <typename T>
const typename OurType<T>::type* Data(const tensorflow::Tensor& tensor) {
  return reinterpret_cast<const typename OurType<T>::type*>(tensor.flat<T>().data());
}
template <typename T>
typename OurType<T>::type* MutableData(tensorflow::Tensor* tensor) {
  return reinterpret_cast<typename OurType<T>::type*>(tensor->flat<T>().data());
}

}  // namespace kerascnn

#endif  // KERASCNN_TF_COMMON_H_
