// kernels/saf_pool2d.h against its definition.
#include "kernels/saf_pool2d.h"

#include <vector>

#include "kernels/saf_pool2d_body.h"
#include "tests/testing.h"

namespace kerascnn {
namespace testing {
namespace {

constexpr SafKey kKey{{0x9abcdef0u, 0x12345678u}};

struct Case {
  int64_t batch, height, width, channels, window_y, window_x, stride_y, stride_x;
  bool same;
  double rate;
  bool per_channel;
};

const Case kCases[] = {
    {2, 6, 8, 40, 2, 2, 2, 2, false, 0.25, false},   // the usual window
    {2, 6, 8, 40, 2, 2, 2, 2, false, 0.25, true},    // whole channels
    {1, 7, 7, 21, 3, 3, 2, 2, true, 0.5, false},     // overlapping windows, padding
    {1, 9, 8, 18, 2, 2, 4, 3, false, 0.1, false},    // gaps between windows
    {3, 5, 6, 7, 5, 6, 5, 6, false, 0.3, false},     // the whole image
    {1, 17, 15, 3, 17, 15, 1, 1, true, 0, false},    // as many taps as there may be; nothing dropped
    {1, 4, 4, 1030, 2, 2, 2, 2, false, 0.9, false},  // many channels
    {0, 4, 4, 8, 2, 2, 2, 2, false, 0.2, false},     // an empty batch
};

// The known answer for a counter and a key of zero, from the authors' own test vectors.
KERASCNN_TEST(Philox) {
  uint32_t words[4];
  PhiloxBlock(0, 0, 0, words);
  const uint32_t expected[4] = {0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u};
  Expect(!std::memcmp(words, expected, sizeof(words)), "Philox4x32-10 of zeros");
}

bool Dropped(const SafPool2D& pool, int64_t y) {
  const int64_t outputs = pool.output_height() * pool.output_width();
  const int64_t image = y / pool.channels / outputs;
  const uint64_t k = pool.per_channel ? image * pool.channels + y % pool.channels : y;
  uint32_t words[4];
  PhiloxBlock(k / 4, kKey.word[0], kKey.word[1], words);
  return words[k % 4] < pool.threshold();
}

KERASCNN_TEST(SafPool2DKernels) {
  for (const Case& c : kCases) {
    SafPool2D pool;
    pool.batch = c.batch, pool.height = c.height, pool.width = c.width, pool.channels = c.channels;
    pool.window_y = c.window_y, pool.window_x = c.window_x, pool.stride_y = c.stride_y, pool.stride_x = c.stride_x;
    pool.rate = c.rate, pool.per_channel = c.per_channel;
    if (c.same) SafPool2DSetSamePadding(&pool);
    const std::string name = std::to_string(c.height) + "x" + std::to_string(c.width) + "x" +
                             std::to_string(c.channels) + ", window " + std::to_string(c.window_y);
    Expect(SafPool2DCheck(pool).empty(), name + ": " + SafPool2DCheck(pool));
    const int64_t rows = pool.output_height(), columns = pool.output_width(), count = pool.y_elements();
    ForEachType([&](auto type) {
      using T = decltype(type);
      const std::vector<T> x = Values<T>(pool.x_elements(), 1), dy = Values<T>(count, 2);
      std::vector<Sum> y_sums(dy.size()), dx_sums(x.size());
      std::vector<uint8_t> expected(dy.size());
      for (int64_t y = 0; y < count; ++y) {
        const int64_t channel = y % c.channels, j = y / c.channels % columns, i = y / c.channels / columns % rows;
        const int64_t image = y / c.channels / columns / rows;
        int64_t best = -1, tap = 0;
        for (int64_t t = 0; t < c.window_y * c.window_x; ++t) {
          const int64_t row = i * c.stride_y + t / c.window_x - pool.pad_y.before;
          const int64_t column = j * c.stride_x + t % c.window_x - pool.pad_x.before;
          if (row < 0 || row >= c.height || column < 0 || column >= c.width) continue;
          const int64_t at = ((image * c.height + row) * c.width + column) * c.channels + channel;
          if (best < 0 || ToCompute(x[at]) > ToCompute(x[best])) best = at, tap = t;
        }
        const bool dropped = Dropped(pool, y);
        expected[y] = dropped ? kSafDropped : static_cast<uint8_t>(tap);
        y_sums[y].Add(dropped ? 0 : static_cast<double>(ToCompute(x[best])) * pool.scale());
        if (!dropped) dx_sums[best].Add(static_cast<double>(ToCompute(dy[y])) * pool.scale());
      }
      std::vector<T> y[2], dx[2];
      std::vector<uint8_t> state[2];
      for (int i = 0; i < 2; ++i) {
        const ThreadsFor parallel(1 + 2 * i);
        y[i] = Unwritten<T>(count), dx[i] = Unwritten<T>(pool.x_elements());
        state[i].assign(static_cast<size_t>(count), 0xfe);
        SafPool2DForward(pool, kKey, x.data(), y[i].data(), state[i].data(), parallel);
        SafPool2DGradient(pool, state[i].data(), dy.data(), dx[i].data(), parallel);
        Expect(state[i] == expected, "saf_pool2d state, " + name + " " + Type<T>::kName);
      }
      ExpectClose(y[0], y_sums, "saf_pool2d forward, " + name);
      ExpectClose(dx[0], dx_sums, "saf_pool2d gradient, " + name);
      ExpectSameBits(y[0], y[1], "saf_pool2d forward, " + name + ": one thread and three");
      ExpectSameBits(dx[0], dx[1], "saf_pool2d gradient, " + name + ": one thread and three");
    });
  }
}

}  // namespace
}  // namespace testing
}  // namespace kerascnn
