// kernels/lrn.h against its formula.
#include "kernels/lrn.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "tests/testing.h"

namespace kerascnn {
namespace testing {
namespace {

struct Case {
  int64_t rows, channels;
  LrnParams params;
};

const std::vector<Case>& Cases() {
  static const std::vector<Case> cases = {
      {7, 24, {2, 2.0, 0.5, 0.75}},     // the usual window and power
      {5, 33, {2, 1.0, 0.25, 0.5}},     // square roots
      {5, 33, {1, 1.5, 0.25, 1.0}},     // a division
      {5, 33, {3, 1.0, 0.25, 0.6}},     // any other power
      {40, 3, {5, 1.0, 1.0, 0.75}},     // window wider than the row
      {3, 40, {0, 1.0, 1.0, 0.75}},     // window of one
      {2, 3400, {4, 1.0, 0.1, 0.75}},   // rows longer than a tile
      {2, 500, {70, 1.0, 0.01, 0.75}},  // window longer than a tile's margin
      {3, 1, {2, 1.0, 1.0, 0.75}},      // one channel
      {0, 8, {2, 1.0, 1.0, 0.75}},      // nothing
  };
  return cases;
}

KERASCNN_TEST(LrnKernels) {
  for (const Case& test : Cases()) {
    const LrnParams& p = test.params;
    const int64_t channels = test.channels, count = test.rows * channels;
    const std::string name = std::to_string(test.rows) + "x" + std::to_string(channels) + ", radius " +
                             std::to_string(p.depth_radius) + ", beta " + std::to_string(p.beta);
    Expect(LrnCheck(p, 2).empty(), name);
    ForEachType([&](auto type) {
      using T = decltype(type);
      const std::vector<T> x = Values<T>(count, 1), dy = Values<T>(count, 2);
      const auto at = [](const std::vector<T>& from, int64_t i) { return static_cast<double>(ToCompute(from[i])); };
      // Calls f(j) for the elements j in the window of i.
      const auto window = [&](int64_t i, auto f) {
        const int64_t row = i / channels * channels;
        const int64_t last = std::min(row + channels - 1, i + p.depth_radius);
        for (int64_t j = std::max(row, i - p.depth_radius); j <= last; ++j) f(j);
      };
      std::vector<double> s(x.size(), p.bias);
      std::vector<Sum> y_sums(x.size()), dx_sums(x.size());
      for (int64_t i = 0; i < count; ++i) {
        window(i, [&](int64_t j) { s[i] += p.alpha * at(x, j) * at(x, j); });
        y_sums[i].Add(at(x, i) * std::pow(s[i], -p.beta));
      }
      for (int64_t j = 0; j < count; ++j) {
        dx_sums[j].Add(at(dy, j) * std::pow(s[j], -p.beta));
        window(j, [&](int64_t i) {
          dx_sums[j].Add(-2 * p.alpha * p.beta * at(x, j) * at(dy, i) * at(x, i) * std::pow(s[i], -p.beta - 1));
        });
      }
      std::vector<T> y[2], dx[2];
      for (int i = 0; i < 2; ++i) {
        const ThreadsFor parallel(1 + 2 * i);
        y[i] = Unwritten<T>(count), dx[i] = Unwritten<T>(count);
        LrnForward(p, test.rows, channels, x.data(), y[i].data(), parallel);
        LrnGradient(p, test.rows, channels, x.data(), dy.data(), dx[i].data(), parallel);
      }
      ExpectClose(y[0], y_sums, "lrn forward, " + name);
      ExpectClose(dx[0], dx_sums, "lrn gradient, " + name);
      ExpectSameBits(y[0], y[1], "lrn forward, " + name + ": one thread and three");
      ExpectSameBits(dx[0], dx[1], "lrn gradient, " + name + ": one thread and three");
    });
  }
}

}  // namespace
}  // namespace testing
}  // namespace kerascnn
