// kernels/packed_attention.h and kernels/token_passes.h against their formulas in double precision.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "kernels/packed_attention.h"
#include "kernels/token_passes.h"
#include "tests/testing.h"

namespace kerascnn {
namespace testing {
namespace {

// One query's sum over keys, pixel p of the map against all pixels of its sequence.
void ExpectedQuery(const PackedAttention& at, int64_t image, int64_t head, int64_t pixel, Sum* y) {
  const int64_t width = at.heads * at.size, pixels = at.height * at.width, first = image * pixels;
  const int64_t down = at.height > at.side ? at.roll : 0, right = at.width > at.side ? at.roll : 0;
  // Row and column of a pixel in the rolled map, and its place in its window.
  const auto row = [&](int64_t p) { return (p / at.width - down + at.height) % at.height; };
  const auto column = [&](int64_t p) { return (p % at.width - right + at.width) % at.width; };
  const auto window = [&](int64_t p) { return at.side == 0 ? 0 : row(p) / at.side * at.width + column(p) / at.side; };
  const auto token = [&](int64_t p) { return at.side == 0 ? p : row(p) % at.side * at.side + column(p) % at.side; };
  const auto region = [&](int64_t p) { return 2 * (row(p) >= at.height - down) + (column(p) >= at.width - right); };
  std::vector<double> scores;
  std::vector<int64_t> keys;
  double most = -1e300, terms = 0;
  for (int64_t p = 0; p < pixels; ++p) {
    if (window(p) != window(pixel)) continue;
    double score = 0, size = 0;
    for (int64_t k = 0; k < at.size; ++k) {
      const double term = static_cast<double>(at.scale) * at.x[(first + pixel) * at.x_step + head * at.size + k] *
                          at.x[(first + p) * at.x_step + width + head * at.size + k];
      score += term, size += std::abs(term);
    }
    if (at.bias != nullptr) score += at.bias[(head * at.tokens() + token(pixel)) * at.tokens() + token(p)];
    if (at.side > 0 && region(p) != region(pixel)) score -= 100;
    scores.push_back(score), keys.push_back(p);
    most = std::max(most, score), terms = std::max(terms, size);
  }
  double total = 0;
  for (double score : scores) total += std::exp(score - most);
  for (size_t j = 0; j < keys.size(); ++j) {
    const double share = std::exp(scores[j] - most) / total;
    for (int64_t k = 0; k < at.size; ++k) {
      y[k].Add(share * at.x[(first + keys[j]) * at.x_step + 2 * width + head * at.size + k]);
    }
  }
  for (int64_t k = 0; k < at.size; ++k) y[k].size *= 1 + terms;  // exp turns an error of a score into a relative one
}

KERASCNN_TEST(Attention) {
  struct Case {
    int64_t batch, height, width, heads, size, side, roll;
    bool bias;
  };
  const std::vector<Case> cases = {
      {1, 1, 1, 1, 1, 0, 0, false},   {2, 1, 7, 3, 5, 0, 0, true},     {1, 17, 1, 2, 16, 0, 0, false},
      {1, 15, 1, 1, 33, 0, 0, false}, {1, 50, 1, 2, 300, 0, 0, false}, {1, 300, 2, 1, 20, 0, 0, false},
      {2, 6, 9, 2, 32, 3, 1, true},   {1, 7, 14, 3, 8, 7, 3, true},    {1, 4, 4, 1, 40, 2, 1, false},
  };
  for (const Case& c : cases) {
    PackedAttention at;
    at.batch = c.batch, at.height = c.height, at.width = c.width, at.heads = c.heads, at.size = c.size;
    at.side = c.side, at.roll = c.roll, at.scale = 0.7f;
    at.x_step = 3 * c.heads * c.size + 2, at.y_step = c.heads * c.size + 1;
    const int64_t pixels = c.batch * c.height * c.width;
    const auto x = Values<float>(pixels * at.x_step, 1);
    const auto bias = Values<float>(c.heads * at.tokens() * at.tokens(), 2);
    at.x = x.data(), at.bias = c.bias ? bias.data() : nullptr;
    std::vector<float> first;
    for (int threads : {1, 3}) {
      auto y = Unwritten<float>(pixels * at.y_step);
      at.y = y.data();
      Scratch scratch(PackedAttentionScratchBytes(at.tokens(), at.size, threads));
      RunPackedAttention(at, scratch.get(), ThreadsFor(threads));
      std::vector<Sum> expected(static_cast<size_t>(pixels * c.heads * c.size));
      std::vector<float> got;
      for (int64_t p = 0; p < pixels; ++p) {
        for (int64_t head = 0; head < c.heads; ++head) {
          ExpectedQuery(at, p / (c.height * c.width), head, p % (c.height * c.width),
                        expected.data() + (p * c.heads + head) * c.size);
        }
        got.insert(got.end(), y.begin() + p * at.y_step, y.begin() + p * at.y_step + c.heads * c.size);
      }
      const std::string what = "attention of " + std::to_string(at.tokens()) + " tokens";
      ExpectClose(got, expected, what);
      if (first.empty()) first = got;
      ExpectSameBits(first, got, what);
    }
  }
}

KERASCNN_TEST(TokenNorms) {
  for (int64_t channels : {1, 2, 15, 64, 131, 384}) {
    TokenNorm norm;
    norm.rows = 5, norm.channels = channels, norm.x_step = channels + 3, norm.y_step = channels, norm.epsilon = 1e-3f;
    auto x = Values<float>(norm.rows * norm.x_step, 3);
    for (float& value : x) value += 2;
    const auto scale = Values<float>(channels, 4), shift = Values<float>(channels, 5);
    auto y = Unwritten<float>(norm.rows * channels);
    norm.x = x.data(), norm.scale = scale.data(), norm.shift = shift.data(), norm.y = y.data();
    RunTokenNorm(norm, ThreadsFor(2));
    std::vector<Sum> expected;
    for (int64_t i = 0; i < norm.rows; ++i) {
      const float* row = x.data() + i * norm.x_step;
      double mean = 0, variance = 0;
      for (int64_t c = 0; c < channels; ++c) mean += row[c] / static_cast<double>(channels);
      for (int64_t c = 0; c < channels; ++c) variance += (row[c] - mean) * (row[c] - mean) / channels;
      const double factor = 1 / std::sqrt(variance + static_cast<double>(norm.epsilon));
      for (int64_t c = 0; c < channels; ++c) {
        Sum sum;
        sum.Add(shift[c]), sum.Add((row[c] - mean) * factor * scale[c]);
        sum.size += 2 * factor * std::abs(scale[c]);  // the mean's rounding
        expected.push_back(sum);
      }
    }
    ExpectClose(y, expected, "norm of " + std::to_string(channels) + " channels");
  }
}

KERASCNN_TEST(TokenTransposes) {
  for (int64_t pixels : {1, 7, 16, 49}) {
    for (int64_t channels : {1, 5, 16, 37}) {
      TokenTranspose t;
      t.batch = 2, t.pixels = pixels, t.channels = channels;
      t.x_step = channels + 1, t.y_step = pixels + 2, t.residual_step = pixels;
      const auto x = Values<float>(t.batch * pixels * t.x_step, 6), residual = Values<float>(2 * channels * pixels, 7);
      std::vector<float> y(t.batch * channels * t.y_step, 9.0f), expected = y;
      for (int64_t i = 0; i < t.batch * channels * pixels; ++i) {
        const int64_t row = i / pixels, pixel = i % pixels, image = row / channels;
        expected[row * t.y_step + pixel] = x[(image * pixels + pixel) * t.x_step + row % channels] + residual[i];
      }
      t.x = x.data(), t.residual = residual.data(), t.y = y.data();
      RunTokenTranspose(t, ThreadsFor(3));
      ExpectSameBits(y, expected, std::to_string(pixels) + " x " + std::to_string(channels) + " transposed");
    }
  }
}

}  // namespace
}  // namespace testing
}  // namespace kerascnn
