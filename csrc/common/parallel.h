// ParallelFor: how a kernel asks for threads without knowing who owns them.
#ifndef KERASCNN_COMMON_PARALLEL_H_
#define KERASCNN_COMMON_PARALLEL_H_

#include <algorithm>
#include <cstdint>
#include <memory>
#include <thread>
#include <type_traits>
#include <vector>

namespace kerascnn {

// A reference to any callable body(begin, end). It never allocates; the callable must outlive the call.
class RangeBody {
 public:
  template <typename F, typename = std::enable_if_t<!std::is_same_v<std::decay_t<F>, RangeBody>>>
  RangeBody(F&& f)  // NOLINT: implicit, so that a lambda can be passed
      : object_(const_cast<void*>(static_cast<const void*>(std::addressof(f)))),
        call_([](void* object, int64_t begin, int64_t end) {
          (*static_cast<std::remove_reference_t<F>*>(object))(begin, end);
        }) {}
  void operator()(int64_t begin, int64_t end) const { call_(object_, begin, end); }

 private:
  void* object_;
  void (*call_)(void*, int64_t, int64_t);
};

// Passed into kernels. Run() calls body(begin, end) on disjoint ranges that together cover [0, n), possibly at the same
// time, and returns when all are done. How the ranges are cut is unspecified, so a kernel's result must depend on each
// index alone. `cost` is a rough number of clock cycles per index; it decides whether threads are worth waking.
class ParallelFor {
 public:
  virtual ~ParallelFor() = default;
  virtual void Run(int64_t n, int64_t cost, RangeBody body) const = 0;
  virtual int threads() const = 0;
};

// Everything on the calling thread.
class SerialFor final : public ParallelFor {
 public:
  void Run(int64_t n, int64_t /*cost*/, RangeBody body) const override {
    if (n > 0) body(0, n);
  }
  int threads() const override { return 1; }
};

// n std::threads per call, equal ranges: for the Python module and for tests, where reproducing a thread count matters
// more than the cost of starting threads.
class ThreadsFor final : public ParallelFor {
 public:
  explicit ThreadsFor(int threads) : threads_(std::max(1, threads)) {}
  void Run(int64_t n, int64_t /*cost*/, RangeBody body) const override {
    const int64_t parts = std::min<int64_t>(threads_, n);
    if (parts <= 1) {
      if (n > 0) body(0, n);
      return;
    }
    std::vector<std::thread> others;
    for (int64_t i = 1; i < parts; ++i) {
      others.emplace_back([=] { body(n * i / parts, n * (i + 1) / parts); });
    }
    body(0, n / parts);
    for (std::thread& other : others) other.join();
  }
  int threads() const override { return threads_; }

 private:
  int threads_;
};

}  // namespace kerascnn

#endif  // KERASCNN_COMMON_PARALLEL_H_
