// What the kernel tests share: a list of tests that fills itself, numbers of every type, and a comparison in words.
//
// The tests need a C++ compiler only, so they run where Python and TensorFlow are absent: on another processor, in an
// emulator, under a sanitizer. Each kernel is compared with plain loops in double precision; whatever the values are
// compared with in Python as well is in tests/csrc.
#ifndef KERASCNN_TESTS_TESTING_H_
#define KERASCNN_TESTS_TESTING_H_

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <new>
#include <random>
#include <string>
#include <vector>

#include "common/types.h"

namespace kerascnn {
namespace testing {

struct Test {
  const char* name;
  void (*run)();
};

inline std::vector<Test>& Tests() {
  static std::vector<Test> tests;
  return tests;
}
inline int& Failures() {
  static int failures = 0;
  return failures;
}
inline int& Checks() {
  static int checks = 0;
  return checks;
}

// KERASCNN_TEST(Name) { ... } in any file of this folder is found and run by kernels_test.cc.
#define KERASCNN_TEST(NAME)                                                                             \
  static void NAME();                                                                                   \
  static const bool registered_##NAME = (::kerascnn::testing::Tests().push_back({#NAME, &NAME}), true); \
  static void NAME()

inline void Expect(bool right, const std::string& what) {
  ++Checks();
  if (right) return;
  if (++Failures() <= 20) std::printf("  wrong: %s\n", what.c_str());
}

// The largest relative error of rounding a number to T, and the name of T.
template <typename T>
struct Type;
template <>
struct Type<float> {
  static constexpr double kUnit = 1.0 / (1 << 24);
  static constexpr const char* kName = "float";
};
template <>
struct Type<double> {
  static constexpr double kUnit = 1.0 / (int64_t{1} << 53);
  static constexpr const char* kName = "double";
};
template <>
struct Type<bfloat16> {
  static constexpr double kUnit = 1.0 / (1 << 8);
  static constexpr const char* kName = "bfloat16";
};
template <>
struct Type<half> {
  static constexpr double kUnit = 1.0 / (1 << 11);
  static constexpr const char* kName = "half";
};

// Calls f(T()) for each element type of the kernels.
template <typename F>
void ForEachType(F&& f) {
  f(float());
  f(double());
  f(bfloat16());
  f(half());
}

// Numbers in [-1, 1).
template <typename T>
std::vector<T> Values(int64_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<T> values(static_cast<size_t>(count));
  for (T& value : values) {
    value = FromCompute<T>(static_cast<Compute<T>>(static_cast<int32_t>(random()) / 2147483648.0));
  }
  return values;
}

// Memory whose every byte is 0xff, which is a NaN in each type: what is read before it is written shows.
template <typename T>
std::vector<T> Unwritten(int64_t count) {
  std::vector<T> values(static_cast<size_t>(count));
  if (count > 0) std::memset(static_cast<void*>(values.data()), 0xff, values.size() * sizeof(T));
  return values;
}

// Working memory of exactly that size, on a cache line.
class Scratch {
 public:
  explicit Scratch(int64_t bytes) : memory_(::operator new (static_cast<size_t>(bytes), std::align_val_t{64})) {
    std::memset(memory_, 0xff, static_cast<size_t>(bytes));
  }
  ~Scratch() { ::operator delete (memory_, std::align_val_t{64}); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  void* get() const { return memory_; }

 private:
  void* memory_;
};

// A sum in double precision, with the size of its terms: by that, a result in lower precision may be off.
struct Sum {
  double value = 0, size = 0;
  void Add(double term) {
    value += term;
    size += std::abs(term);
  }
};

// Each element may be off by the rounding of the result and, where sums were formed, of some tens of terms.
template <typename T>
void ExpectClose(const std::vector<T>& got, const std::vector<Sum>& expected, const std::string& what) {
  const double smallest = 1e-7;  // of a half: half of 2^-24, and less than that
  for (size_t i = 0; i < expected.size(); ++i) {
    const double value = static_cast<double>(ToCompute(got[i]));
    const double allowed = Type<T>::kUnit * std::abs(expected[i].value) +
                           64 * Type<Compute<T>>::kUnit * expected[i].size + (sizeof(T) == 2 ? smallest : 0);
    if (std::abs(value - expected[i].value) <= allowed) continue;
    Expect(false, what + " " + Type<T>::kName + ", element " + std::to_string(i) + ": " + std::to_string(value) +
                      " instead of " + std::to_string(expected[i].value));
    return;
  }
  Expect(got.size() == expected.size(), what + " " + Type<T>::kName + ": size");
}

template <typename T>
void ExpectSameBits(const std::vector<T>& a, const std::vector<T>& b, const std::string& what) {
  Expect(a.size() == b.size() && (a.empty() || !std::memcmp(a.data(), b.data(), a.size() * sizeof(T))),
         what + " " + Type<T>::kName);
}

}  // namespace testing
}  // namespace kerascnn

#endif  // KERASCNN_TESTS_TESTING_H_
