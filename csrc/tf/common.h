// What every OpKernel here needs: TensorFlow's threads as a ParallelFor, its element types as ours, its CUDA stream.
//
// An OpKernel is a template over the device it runs on:
//
//   template <typename Device, typename T>
//   class ScaleKernel final : public tf::OpKernel {
//     ...
//       if constexpr (std::is_same_v<Device, Cuda>) {
//         OP_REQUIRES_OK(context, Said(ScaleCuda(n, Data<T>(x), MutableData<T>(y), CudaStream(context))));
//       } else {
//         Scale(n, Data<T>(x), MutableData<T>(y), TensorFlowFor(context));
//       }
//   #define REGISTER(Where, T)
//     REGISTER_KERNEL_BUILDER(Name("...").Device(Where::Name()).TypeConstraint<T>("T"), ScaleKernel<Where, T>)
//   KERASCNN_FOR_DEVICES_AND_TYPES(REGISTER)
//
// Working memory comes from allocate_temp(), which is on the op's device and lives until the stream has used it.
#ifndef KERASCNN_TF_COMMON_H_
#define KERASCNN_TF_COMMON_H_

#include <string>

#include "common/parallel.h"
#include "common/types.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/types.h"
#include "tensorflow/core/platform/threadpool.h"
#ifdef KERASCNN_CUDA
#include "xla/stream_executor/stream.h"
#endif

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

struct Cpu {
  static const char* Name() { return tensorflow::DEVICE_CPU; }
};
struct Cuda {
  static const char* Name() { return tensorflow::DEVICE_GPU; }
};

// What a CUDA launcher said, as a Status.
inline absl::Status Said(const std::string& wrong) {
  return wrong.empty() ? absl::OkStatus() : tensorflow::errors::Internal(wrong);
}

// Calls the macro REGISTER(Where, T) for every device of this build and every element type.
#define KERASCNN_FOR_TYPES(REGISTER, Where) \
  REGISTER(Where, float);                   \
  REGISTER(Where, double);                  \
  REGISTER(Where, Eigen::bfloat16);         \
  REGISTER(Where, Eigen::half)

#ifdef KERASCNN_CUDA
#define KERASCNN_FOR_DEVICES_AND_TYPES(REGISTER) \
  KERASCNN_FOR_TYPES(REGISTER, Cpu);             \
  KERASCNN_FOR_TYPES(REGISTER, Cuda)
#else
#define KERASCNN_FOR_DEVICES_AND_TYPES(REGISTER) KERASCNN_FOR_TYPES(REGISTER, Cpu)
#endif

// The cudaStream_t on which the op's inputs become ready and its outputs are awaited.
inline void* CudaStream(tensorflow::OpKernelContext* context) {
#ifdef KERASCNN_CUDA
  return context->op_device_context()->stream()->platform_specific_handle().stream;
#else
  return nullptr;
#endif
}

}  // namespace kerascnn

#endif  // KERASCNN_TF_COMMON_H_
