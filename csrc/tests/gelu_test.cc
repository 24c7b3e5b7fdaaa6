// kernels/gelu.h against its formula.
#include "kernels/gelu.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "tests/testing.h"

namespace kerascnn {
namespace testing {
namespace {

double Distribution(double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); }
double Density(double x) { return std::exp(-0.5 * x * x) / std::sqrt(2 * std::acos(-1.0)); }

// Numbers whose sizes reach from 1e-3 to 1e4, and what is none.
template <typename T>
std::vector<T> Inputs(int64_t count) {
  std::vector<T> values = Values<T>(count, 1);
  const float scales[] = {1.0f, 1e-3f, 3.0f, 6.0f, 20.0f, 1e4f};
  for (size_t i = 0; i < values.size(); ++i) values[i] = FromCompute<T>(ToCompute(values[i]) * scales[i % 6]);
  return values;
}

KERASCNN_TEST(Gelu) {
  const auto check = [](auto type) {
    using T = decltype(type);
    for (const int64_t count : {0, 1, 15, 16, 17, 1023, 1024, 2500}) {
      const std::string name = std::string(Type<T>::kName) + ", " + std::to_string(count);
      const std::vector<T> x = Inputs<T>(count), dy = Values<T>(count, 2);
      for (const int threads : {1, 3}) {
        const ThreadsFor parallel(threads);
        std::vector<T> y = Unwritten<T>(count), dx = Unwritten<T>(count);
        GeluForward(count, x.data(), y.data(), parallel);
        GeluGradient(count, x.data(), dy.data(), dx.data(), parallel);
        for (size_t i = 0; i < x.size(); ++i) {
          const double v = static_cast<double>(ToCompute(x[i])), g = static_cast<double>(ToCompute(dy[i]));
          const double value = v * Distribution(v), slope = Distribution(v) + v * Density(v);
          const auto close = [](T got, double want, double size) {
            return std::abs(static_cast<double>(ToCompute(got)) - want) <=
                   1e-6 * size + Type<T>::kUnit * std::abs(want);
          };
          Expect(close(y[i], value, std::max(1.0, std::abs(v))), "gelu, " + name + ", of " + std::to_string(v));
          Expect(close(dx[i], g * slope, 1.0), "gelu gradient, " + name + ", at " + std::to_string(v));
        }
        std::vector<T> in_place = dy, same = x;
        GeluGradient(count, x.data(), in_place.data(), in_place.data(), parallel);
        GeluForward(count, same.data(), same.data(), parallel);
        ExpectSameBits(in_place, dx, "gelu gradient in place, " + name);
        ExpectSameBits(same, y, "gelu in place, " + name);
      }
    }
  };
  check(float());
  check(bfloat16());
}

KERASCNN_TEST(GeluOfNoNumbers) {
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<float> x = {infinity, -infinity, std::nanf(""), 3e38f, -3e38f}, dy(5, 1.0f);
  std::vector<float> y(5), dx(5);
  GeluForward(5, x.data(), y.data(), SerialFor());
  GeluGradient(5, x.data(), dy.data(), dx.data(), SerialFor());
  Expect(y[0] == infinity && y[1] == 0 && std::isnan(y[2]) && y[3] > 2.9999e38f && y[4] == 0,
         "gelu of what is no number");
  Expect(std::abs(dx[0] - 1) < 1e-6f && std::abs(dx[1]) < 1e-30f && std::isnan(dx[2]),
         "gelu gradient at what is no number");
  Expect(std::abs(dx[3] - 1) < 1e-6f && std::abs(dx[4]) < 1e-30f, "gelu gradient at large numbers");
}

}  // namespace
}  // namespace testing
}  // namespace kerascnn
