// kernels/layer_norm.h against its formula.
#include "kernels/layer_norm.h"

#include <cmath>
#include <string>
#include <vector>

#include "tests/testing.h"

namespace kerascnn {
namespace testing {
namespace {

// Calls f(T()) for each element type of the kernel.
template <typename F>
void ForItsTypes(F&& f) {
  f(float());
  f(bfloat16());
}

// The same number as double.
template <typename T>
double At(const std::vector<T>& from, int64_t i) {
  return static_cast<double>(ToCompute(from[static_cast<size_t>(i)]));
}

KERASCNN_TEST(LayerNorm) {
  const std::vector<LayerNormShape> shapes = {
      {5, 64, 1e-6f}, {3, 1, 1e-3f}, {7, 3, 1e-6f},    {2, 130, 0.5f},  {131, 17, 1e-6f},
      {65, 48, 0.0f}, {0, 8, 1e-6f}, {1, 1000, 1e-6f}, {64, 16, 1e-6f}, {3, 0, 1e-6f},
  };
  for (const LayerNormShape& shape : shapes) {
    const int64_t rows = shape.rows, channels = shape.channels, count = rows * channels;
    const std::string name = std::to_string(rows) + "x" + std::to_string(channels);
    ForItsTypes([&](auto type) {
      using T = decltype(type);
      const std::vector<T> x = Values<T>(count, 1), dy = Values<T>(count, 2);
      const std::vector<float> scale = Values<float>(channels, 3), shift = Values<float>(channels, 4);
      const auto size = static_cast<size_t>(count);
      std::vector<Sum> y_sums(size), dx_sums(size), dscale_sums(scale.size()), dshift_sums(scale.size());
      for (int64_t i = 0; i < rows; ++i) {
        double mean = 0, variance = 0, direct = 0, along = 0;
        for (int64_t c = 0; c < channels; ++c) mean += At(x, i * channels + c) / channels;
        for (int64_t c = 0; c < channels; ++c) variance += std::pow(At(x, i * channels + c) - mean, 2) / channels;
        const double factor = 1 / std::sqrt(variance + static_cast<double>(shape.epsilon));
        const auto normed = [&](int64_t c) { return (At(x, i * channels + c) - mean) * factor; };
        const auto g = [&](int64_t c) { return At(dy, i * channels + c) * At(scale, c); };
        // The difference from the mean is as exact as its terms are large.
        const auto add_normed = [&](Sum& sum, int64_t c, double times) {
          sum.Add(At(x, i * channels + c) * factor * times);
          sum.Add(-mean * factor * times);
        };
        for (int64_t c = 0; c < channels; ++c) direct += g(c) / channels, along += g(c) * normed(c) / channels;
        for (int64_t c = 0; c < channels; ++c) {
          const auto at = static_cast<size_t>(i * channels + c), channel = static_cast<size_t>(c);
          add_normed(y_sums[at], c, At(scale, c));
          y_sums[at].Add(At(shift, c));
          dx_sums[at].Add(factor * g(c));
          dx_sums[at].Add(-factor * direct);
          add_normed(dx_sums[at], c, -factor * along);
          add_normed(dscale_sums[channel], c, At(dy, i * channels + c));
          dshift_sums[channel].Add(At(dy, i * channels + c));
        }
      }
      std::vector<T> y[2], dx[2];
      std::vector<float> dscale[2], dshift[2];
      for (int i = 0; i < 2; ++i) {
        const ThreadsFor parallel(1 + 2 * i);
        y[i] = Unwritten<T>(count), dx[i] = Unwritten<T>(count);
        dscale[i] = Unwritten<float>(channels), dshift[i] = Unwritten<float>(channels);
        const Scratch scratch(LayerNormScratchBytes(shape));
        LayerNormForward(shape, x.data(), scale.data(), shift.data(), y[i].data(), parallel);
        LayerNormGradient(shape, x.data(), scale.data(), dy.data(), dx[i].data(), dscale[i].data(), dshift[i].data(),
                          scratch.get(), parallel);
        ExpectSameBits(dx[0], dx[i], "layer norm gradient, " + name + ": one thread and three");
        ExpectSameBits(dscale[0], dscale[i], "layer norm, scale, " + name + ": one thread and three");
        ExpectSameBits(dshift[0], dshift[i], "layer norm, shift, " + name + ": one thread and three");
      }
      ExpectClose(y[0], y_sums, "layer norm forward, " + name);
      ExpectClose(dx[0], dx_sums, "layer norm gradient, " + name);
      ExpectClose(dscale[0], dscale_sums, "layer norm, scale, " + name);
      ExpectClose(dshift[0], dshift_sums, "layer norm, shift, " + name);
    });
  }
}

}  // namespace
}  // namespace testing
}  // namespace kerascnn
