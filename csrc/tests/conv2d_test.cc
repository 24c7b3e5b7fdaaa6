// kernels/conv2d.h against its formula.
#include "kernels/conv2d.h"

#include <vector>

#include "tests/testing.h"

namespace kerascnn {
namespace testing {
namespace {

Conv2D Make(int64_t batch, int64_t height, int64_t width, int64_t channels, int64_t filters, int64_t groups,
            int64_t kernel, int64_t stride = 1, int64_t dilation = 1, bool same = true) {
  Conv2D conv;
  conv.batch = batch, conv.height = height, conv.width = width, conv.channels = channels;
  conv.kernel_height = conv.kernel_width = kernel;
  conv.group_channels = channels / groups, conv.filters = filters;
  conv.stride_y = conv.stride_x = stride, conv.dilation_y = conv.dilation_x = dilation;
  if (same) Conv2DSetSamePadding(&conv);
  return conv;
}

std::vector<Conv2D> Cases() {
  std::vector<Conv2D> cases = {
      Make(1, 5, 6, 3, 5, 1, 3),                 // few channels, as in a first layer
      Make(1, 5, 5, 20, 37, 1, 3),               // more than a vector, not a multiple of one
      Make(2, 7, 7, 16, 16, 16, 3),              // depthwise
      Make(1, 6, 9, 8, 16, 8, 3, 2),             // depthwise, two filters a channel, stride
      Make(1, 9, 12, 40, 40, 40, 5, 2),          // depthwise, more than a vector of channels
      Make(1, 7, 9, 21, 21, 21, 3, 1, 2),        // depthwise, dilated
      Make(1, 6, 9, 8, 8, 4, 3),                 // 2 channels a group
      Make(2, 9, 17, 12, 12, 3, 3, 2),           // 4
      Make(1, 8, 8, 40, 40, 5, 3),               // 8
      Make(1, 5, 8, 64, 64, 4, 3),               // 16
      Make(1, 5, 5, 64, 64, 2, 1),               // 32, pointwise
      Make(1, 9, 9, 8, 12, 2, 3, 1, 2),          // dilated
      Make(1, 9, 20, 16, 16, 4, 3, 1, 12),       // dilated past the image
      Make(1, 11, 11, 4, 4, 2, 5, 3, 1, false),  // no padding, source rows that nobody reads
      Make(1, 10, 10, 6, 4, 1, 1, 4),            // stride beyond the window
      Make(1, 8, 8, 10, 10, 1, 7),               // many taps
      Make(0, 5, 5, 4, 4, 2, 3),                 // an empty batch
      Make(1, 2, 2, 4, 4, 1, 3, 1, 1, false),    // no outputs
      Make(1, 7, 6, 6, 9, 3, 3, 2, 2),           // groups of unequal depth and filters
      Make(3, 7, 7, 16, 48, 1, 3),               // one group of many channels, as tiles of bfloat16 take it
      Make(2, 9, 8, 33, 17, 1, 3, 2),            // the same, not in whole tiles, stride
      Make(2, 30, 29, 40, 24, 1, 5),             // many pixels
      Make(1, 8, 7, 32, 32, 1, 1, 2),            // pointwise, pixels that nobody reads
      Make(2, 9, 9, 24, 16, 1, 3, 1, 2),         // dilated
      Make(1, 40, 900, 16, 8, 1, 3),             // more than a cache holds: strips
  };
  Conv2D uneven = Make(1, 7, 9, 6, 4, 2, 3, 1, 1, false);  // everything different in the two directions
  uneven.kernel_height = 2, uneven.stride_x = 2, uneven.dilation_y = 3;
  uneven.pad_y = {3, 0}, uneven.pad_x = {0, 4};
  cases.push_back(uneven);
  uneven.channels = 36, uneven.group_channels = 36, uneven.filters = 20, uneven.batch = 3;
  cases.push_back(uneven);
  return cases;
}

std::string Describe(const Conv2D& c) {
  return "x " + std::to_string(c.height) + "x" + std::to_string(c.width) + "x" + std::to_string(c.channels) + ", w " +
         std::to_string(c.kernel_height) + "x" + std::to_string(c.kernel_width) + "x" +
         std::to_string(c.group_channels) + "x" + std::to_string(c.filters) + ", stride " + std::to_string(c.stride_y) +
         ", dilation " + std::to_string(c.dilation_y);
}

// Calls f(index in x, index in w, index in y) for every product of the formula.
template <typename F>
void ForEachProduct(const Conv2D& c, F f) {
  const int64_t oh = c.output_height(), ow = c.output_width(), depth = c.group_channels;
  for (int64_t y = 0; y < c.y_elements(); ++y) {
    const int64_t o = y % c.filters, j = y / c.filters % ow, i = y / c.filters / ow % oh, n = y / c.filters / ow / oh;
    const int64_t group = o / (c.filters / c.groups());
    for (int64_t w = o; w < c.w_elements(); w += c.filters) {
      const int64_t k = w / c.filters % depth, b = w / c.filters / depth % c.kernel_width;
      const int64_t a = w / c.filters / depth / c.kernel_width;
      const int64_t row = i * c.stride_y + a * c.dilation_y - c.pad_y.before;
      const int64_t column = j * c.stride_x + b * c.dilation_x - c.pad_x.before;
      if (row < 0 || row >= c.height || column < 0 || column >= c.width) continue;
      f(((n * c.height + row) * c.width + column) * c.channels + group * depth + k, w, y);
    }
  }
}

// Runs one kernel on one thread and on three; returns the first result.
template <typename T, typename F>
std::vector<T> Run(const Conv2D& conv, Conv2DKind kind, int64_t elements, const std::string& what, F kernel) {
  std::vector<T> results[2] = {Unwritten<T>(elements), Unwritten<T>(elements)};
  const ThreadsFor threads[2] = {ThreadsFor(1), ThreadsFor(3)};
  for (int i = 0; i < 2; ++i) {
    const Scratch scratch(Conv2DScratchBytes(conv, kind, sizeof(T), threads[i].threads()));
    kernel(results[i].data(), scratch.get(), threads[i]);
  }
  ExpectSameBits(results[0], results[1], what + ": one thread and three");
  return results[0];
}

KERASCNN_TEST(Conv2DKernels) {
  for (const Conv2D& conv : Cases()) {
    const std::string name = Describe(conv);
    Expect(Conv2DCheck(conv).empty(), name + ": " + Conv2DCheck(conv));
    ForEachType([&](auto type) {
      using T = decltype(type);
      const std::vector<T> x = Values<T>(conv.x_elements(), 1), w = Values<T>(conv.w_elements(), 2);
      const std::vector<T> dy = Values<T>(conv.y_elements(), 3);
      std::vector<Sum> y_sums(dy.size()), dx_sums(x.size()), dw_sums(w.size());
      ForEachProduct(conv, [&](int64_t xi, int64_t wi, int64_t yi) {
        const double xv = ToCompute(x[xi]), wv = ToCompute(w[wi]), dyv = ToCompute(dy[yi]);
        y_sums[yi].Add(xv * wv);
        dx_sums[xi].Add(wv * dyv);
        dw_sums[wi].Add(xv * dyv);
      });
      std::string what = "conv2d forward, " + name;
      ExpectClose(Run<T>(conv, Conv2DKind::kForward, conv.y_elements(), what,
                         [&](T* to, void* scratch, const ParallelFor& parallel) {
                           Conv2DForward(conv, x.data(), w.data(), to, scratch, parallel);
                         }),
                  y_sums, what);
      what = "conv2d input gradient, " + name;
      ExpectClose(Run<T>(conv, Conv2DKind::kInputGradient, conv.x_elements(), what,
                         [&](T* to, void* scratch, const ParallelFor& parallel) {
                           Conv2DInputGradient(conv, w.data(), dy.data(), to, scratch, parallel);
                         }),
                  dx_sums, what);
      what = "conv2d filter gradient, " + name;
      ExpectClose(Run<T>(conv, Conv2DKind::kFilterGradient, conv.w_elements(), what,
                         [&](T* to, void* scratch, const ParallelFor& parallel) {
                           Conv2DFilterGradient(conv, x.data(), dy.data(), to, scratch, parallel);
                         }),
                  dw_sums, what);
    });
  }
}

}  // namespace
}  // namespace testing
}  // namespace kerascnn
