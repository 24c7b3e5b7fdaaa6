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

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "common/parallel.h"
#include "common/types.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/types.h"
#include "tensorflow/core/platform/threadpool.h"
#ifdef KERASCNN_CUDA
#include "xla/stream_executor/stream.h"
#endif

namespace kerascnn {

// The worker pool of the op's own device, so that kernels share TensorFlow's inter-op and intra-op limits. Unlike the
// pool's own ParallelFor, the calling thread takes ranges until none is left and then waits only for threads that have
// begun: a small op is done before a sleeping thread wakes, and no more threads run than TensorFlow was given.
class TensorFlowFor final : public ParallelFor {
 public:
  explicit TensorFlowFor(tensorflow::OpKernelContext* context)
      : workers_(context->device()->tensorflow_cpu_worker_threads()->workers),
        threads_(context->device()->tensorflow_cpu_worker_threads()->num_threads) {}

  void Run(int64_t n, int64_t cost, RangeBody body) const override {
    constexpr double kWorthWaking = 20000;  // clock cycles
    const double useful = std::min<double>(n, static_cast<double>(n) * static_cast<double>(cost) / kWorthWaking);
    const int helpers = static_cast<int>(std::min<double>(threads_, useful)) - 1;
    if (helpers < 1) {
      if (n > 0) body(0, n);
      return;
    }
    const auto work = std::make_shared<Work>(body, n, helpers + 1);
    for (int i = 0; i < helpers; ++i) workers_->Schedule([work] { work->TakeRanges(); });
    work->TakeRanges();
    // The others finish at about the same time: waking from sleep would take longer than most of them do.
    for (int i = 0; i < 1000; ++i) {
      if (work->done.load(std::memory_order_acquire) == n) return;
      std::this_thread::yield();
    }
    std::unique_lock<std::mutex> lock(work->mutex);
    work->all_done.wait(lock, [&] { return work->done.load(std::memory_order_acquire) == n; });
  }
  int threads() const override { return threads_; }

 private:
  // Outlives Run() where a thread begins late; such a thread finds nothing left and does not touch `body`.
  struct Work {
    Work(RangeBody body, int64_t n, int threads) : body(body), n(n), threads(threads) {}

    // Half of an equal share of what is left, again and again: long ranges first, short ones to finish together.
    void TakeRanges() {
      int64_t mine = 0;
      for (int64_t begin = next.load(std::memory_order_relaxed);;) {
        const int64_t end = begin + std::max<int64_t>(1, (n - begin) / (2 * threads));
        if (begin >= n) break;
        if (!next.compare_exchange_weak(begin, end, std::memory_order_relaxed)) continue;
        body(begin, end);
        mine += end - begin;
        begin = next.load(std::memory_order_relaxed);
      }
      if (mine == 0) return;
      const std::lock_guard<std::mutex> lock(mutex);
      if (done.fetch_add(mine, std::memory_order_acq_rel) + mine == n) all_done.notify_one();
    }

    const RangeBody body;
    const int64_t n;
    const int threads;
    std::atomic<int64_t> next{0};
    std::mutex mutex;
    std::condition_variable all_done;
    std::atomic<int64_t> done{0};
  };

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

// InvalidArgument with a message put together from its parts.
template <typename... Parts>
absl::Status Invalid(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

// What a check said, as a Status.
inline absl::Status Say(const std::string& wrong) { return wrong.empty() ? absl::OkStatus() : Invalid(wrong); }

// What a CUDA launcher said, as a Status.
inline absl::Status Said(const std::string& wrong) {
  return wrong.empty() ? absl::OkStatus() : absl::InternalError(wrong);
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
inline void* CudaStream([[maybe_unused]] tensorflow::OpKernelContext* context) {
#ifdef KERASCNN_CUDA
  return context->op_device_context()->stream()->platform_specific_handle().stream;
#else
  return nullptr;
#endif
}

}  // namespace kerascnn

#endif  // KERASCNN_TF_COMMON_H_
