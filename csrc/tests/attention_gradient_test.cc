// kernels/attention_gradient.h against differences of the formula.
#include "kernels/attention_gradient.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "tests/testing.h"

namespace kerascnn {
namespace testing {
namespace {

// dx in double precision, by the formulas of the header.
std::vector<double> Expected(const AttentionGradient& a) {
  const int64_t n = a.tokens, d = a.size, width = a.heads * d, step = 3 * width;
  std::vector<double> dx(static_cast<size_t>(a.batch * n * step));
  std::vector<double> p(static_cast<size_t>(n)), dp(static_cast<size_t>(n));
  for (int64_t image = 0; image < a.batch; ++image) {
    for (int64_t head = 0; head < a.heads; ++head) {
      const float* query = a.x + image * n * step + head * d;
      const float *key = query + width, *value = key + width, *dy = a.dy + image * n * width + head * d;
      double* dquery = dx.data() + image * n * step + head * d;
      double *dkey = dquery + width, *dvalue = dkey + width;
      for (int64_t i = 0; i < n; ++i) {
        double most = -1e300, sum = 0, mean = 0;
        for (int64_t j = 0; j < n; ++j) {
          double score = 0, product = 0;
          for (int64_t c = 0; c < d; ++c) {
            score += static_cast<double>(query[i * step + c]) * static_cast<double>(key[j * step + c]);
            product += static_cast<double>(dy[i * width + c]) * static_cast<double>(value[j * step + c]);
          }
          p[static_cast<size_t>(j)] = score * static_cast<double>(a.scale), dp[static_cast<size_t>(j)] = product;
          most = std::max(most, p[static_cast<size_t>(j)]);
        }
        for (double& value_of : p) sum += value_of = std::exp(value_of - most);
        for (double& value_of : p) value_of /= sum;
        for (size_t j = 0; j < p.size(); ++j) mean += p[j] * dp[j];
        for (int64_t j = 0; j < n; ++j) {
          const double of = p[static_cast<size_t>(j)];
          const double ds = static_cast<double>(a.scale) * of * (dp[static_cast<size_t>(j)] - mean);
          for (int64_t c = 0; c < d; ++c) {
            dvalue[j * step + c] += of * static_cast<double>(dy[i * width + c]);
            dquery[i * step + c] += ds * static_cast<double>(key[j * step + c]);
            dkey[j * step + c] += ds * static_cast<double>(query[i * step + c]);
          }
        }
      }
    }
  }
  return dx;
}

KERASCNN_TEST(AttentionGradients) {
  struct Case {
    int64_t batch, tokens, heads, size;
    float scale;
  };
  const std::vector<Case> cases = {{2, 17, 3, 8, 0.3f}, {1, 50, 2, 33, 0.5f},  {1, 300, 1, 16, 0.25f},
                                   {3, 1, 2, 4, 1.0f},  {1, 257, 1, 64, 2.0f}, {1, 5, 1, 256, 0.1f},
                                   {0, 5, 2, 8, 1.0f},  {1, 0, 2, 8, 1.0f},    {1, 530, 1, 5, 0.5f}};
  for (const Case& test : cases) {
    AttentionGradient a;
    a.batch = test.batch, a.tokens = test.tokens, a.heads = test.heads, a.size = test.size, a.scale = test.scale;
    const int64_t count = a.batch * a.tokens * a.heads * a.size;
    const std::vector<float> x = Values<float>(3 * count, 1), dy = Values<float>(count, 2);
    a.x = x.data(), a.dy = dy.data();
    const std::vector<double> want = Expected(a);
    std::vector<float> got[2];
    for (int i = 0; i < 2; ++i) {
      const ThreadsFor parallel(1 + 2 * i);
      got[i] = Unwritten<float>(3 * count);
      a.dx = got[i].data();
      const Scratch scratch(AttentionGradientScratchBytes(a, parallel.threads()));
      RunAttentionGradient(a, scratch.get(), parallel);
    }
    const std::string name = std::to_string(a.tokens) + " tokens, " + std::to_string(a.size) + " features";
    double largest = 1e-3, off = 0;
    for (const double value : want) largest = std::max(largest, std::abs(value));
    for (size_t i = 0; i < want.size(); ++i) {
      const double apart = std::abs(static_cast<double>(got[0][i]) - want[i]);
      off = std::isnan(apart) ? 1e300 : std::max(off, apart);
    }
    Expect(off <= 2e-6 * largest, "attention's gradient of " + name + ", off by " + std::to_string(off / largest));
    ExpectSameBits(got[0], got[1], "attention's gradient of " + name + ": one thread and three");
  }
}

}  // namespace
}  // namespace testing
}  // namespace kerascnn
