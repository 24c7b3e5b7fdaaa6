// kernels/deform_conv2d.h against its formula.
#include "kernels/deform_conv2d.h"

#include <cmath>
#include <limits>
#include <vector>

#include "tests/testing.h"

namespace kerascnn {
namespace testing {
namespace {

struct Case {
  int64_t batch, height, width, channels, filters, groups, offset_groups, kernel_height, kernel_width, stride, dilation;
  bool same, masked;
};

const Case kCases[] = {
    {2, 5, 6, 4, 3, 1, 1, 3, 3, 1, 1, true, true},      // the usual window
    {1, 5, 4, 3, 2, 1, 1, 3, 2, 2, 1, true, false},     // version 1, stride
    {2, 5, 4, 6, 4, 2, 3, 3, 2, 1, 2, true, true},      // offset groups across groups, dilated
    {1, 4, 4, 40, 20, 20, 5, 2, 2, 1, 1, false, true},  // many groups
    {1, 3, 3, 20, 3, 1, 20, 2, 2, 1, 1, true, true},    // every channel with offsets of its own
    {2, 3, 4, 150, 37, 1, 3, 2, 2, 1, 1, true, true},   // several slabs of channels
    {1, 17, 23, 3, 2, 1, 1, 3, 3, 1, 1, true, true},    // several blocks of pixels
    {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, false, true},     // one pixel
    {0, 5, 5, 4, 4, 2, 1, 3, 3, 1, 1, true, true},      // an empty batch
    {2, 2, 2, 4, 4, 1, 1, 3, 3, 1, 1, false, true},     // no outputs
};

DeformConv2D Make(const Case& c) {
  DeformConv2D deform;
  Conv2D& conv = deform.conv;
  conv.batch = c.batch, conv.height = c.height, conv.width = c.width, conv.channels = c.channels;
  conv.kernel_height = c.kernel_height, conv.kernel_width = c.kernel_width;
  conv.group_channels = c.channels / c.groups, conv.filters = c.filters;
  conv.stride_y = conv.stride_x = c.stride, conv.dilation_y = conv.dilation_x = c.dilation;
  if (c.same) Conv2DSetSamePadding(&conv);
  deform.offset_groups = c.offset_groups;
  return deform;
}

// Offsets that every type holds exactly, away from whole numbers, where rounding might cross a kink.
template <typename T>
std::vector<T> Offsets(int64_t count) {
  std::mt19937 random(5);
  std::vector<T> offsets(static_cast<size_t>(count));
  for (T& offset : offsets) {
    const unsigned word = random();
    offset = FromCompute<T>(static_cast<Compute<T>>(static_cast<int>(word % 5) - 2 + (1 + word / 8 % 3) * 0.25));
  }
  return offsets;
}

// One pixel of the four around a sample: its place, its weight, and that weight's derivatives down and to the right.
struct Corner {
  int64_t row, column;
  double weight, down, right;
};

// The corners that lie in the image, of the sample at y, x.
std::vector<Corner> Corners(const Conv2D& conv, double y, double x) {
  std::vector<Corner> corners;
  if (!(y >= -1 && y < conv.height && x >= -1 && x < conv.width)) return corners;
  const double top = std::floor(y), left = std::floor(x), below = y - top, aside = x - left;
  for (int k = 0; k < 4; ++k) {
    const int64_t row = static_cast<int64_t>(top) + k / 2, column = static_cast<int64_t>(left) + k % 2;
    if (row < 0 || row >= conv.height || column < 0 || column >= conv.width) continue;
    const double v = k / 2 ? below : 1 - below, h = k % 2 ? aside : 1 - aside;
    corners.push_back({row, column, v * h, k / 2 ? h : -h, k % 2 ? v : -v});
  }
  return corners;
}

// Calls f(corner, index in x, in w, in y, in the mask) for every product of the formula; that of the vertical offset is
// twice the mask's.
template <typename T, typename F>
void ForEachProduct(const DeformConv2D& deform, const std::vector<T>& offset, F f) {
  const Conv2D& c = deform.conv;
  const int64_t oh = c.output_height(), ow = c.output_width(), each = c.filters / c.groups();
  for (int64_t m = 0; m < deform.mask_elements(); ++m) {
    const int64_t tap = m % deform.taps(), d = m / deform.taps() % deform.offset_groups;
    const int64_t pixel = m / deform.mask_depth(), j = pixel % ow, i = pixel / ow % oh, n = pixel / ow / oh;
    const int64_t a = tap / c.kernel_width, b = tap % c.kernel_width;
    const double y = i * c.stride_y + a * c.dilation_y - c.pad_y.before + double(ToCompute(offset[2 * m]));
    const double x = j * c.stride_x + b * c.dilation_x - c.pad_x.before + double(ToCompute(offset[2 * m + 1]));
    for (const Corner& corner : Corners(c, y, x)) {
      for (int64_t k = 0; k < deform.offset_channels(); ++k) {
        const int64_t channel = d * deform.offset_channels() + k, group = channel / c.group_channels;
        const int64_t xi = ((n * c.height + corner.row) * c.width + corner.column) * c.channels + channel;
        for (int64_t o = group * each; o < (group + 1) * each; ++o) {
          const int64_t wi = (tap * c.group_channels + channel % c.group_channels) * c.filters + o;
          f(corner, xi, wi, pixel * c.filters + o, m);
        }
      }
    }
  }
}

template <typename T>
struct Results {
  std::vector<T> y, dx, dw, doffset, dmask;
};

template <typename T>
Results<T> Run(const DeformConv2D& deform, const std::vector<T>& x, const std::vector<T>& w,
               const std::vector<T>& offset, const std::vector<T>& mask, const std::vector<T>& dy, int threads) {
  const ThreadsFor parallel(threads);
  Results<T> r{Unwritten<T>(dy.size()), Unwritten<T>(x.size()), Unwritten<T>(w.size()), Unwritten<T>(offset.size()),
               Unwritten<T>(mask.size())};
  const bool masked = 2 * mask.size() == offset.size();
  const T* weights = masked ? mask.data() : nullptr;
  {
    const Scratch scratch(DeformConv2DScratchBytes(deform, false, sizeof(T), threads));
    DeformConv2DForward(deform, x.data(), w.data(), offset.data(), weights, r.y.data(), scratch.get(), parallel);
  }
  const Scratch scratch(DeformConv2DScratchBytes(deform, true, sizeof(T), threads));
  DeformConv2DGradient(deform, x.data(), w.data(), offset.data(), weights, dy.data(), r.dx.data(), r.dw.data(),
                       r.doffset.data(), masked ? r.dmask.data() : nullptr, scratch.get(), parallel);
  return r;
}

KERASCNN_TEST(DeformConv2DKernels) {
  for (const Case& test : kCases) {
    const DeformConv2D deform = Make(test);
    const Conv2D& conv = deform.conv;
    const std::string name = "deform_conv2d " + std::to_string(test.height) + "x" + std::to_string(test.width) + "x" +
                             std::to_string(test.channels) + ", " + std::to_string(test.groups) + " groups, " +
                             std::to_string(test.offset_groups) + " offset groups";
    Expect(DeformConv2DCheck(deform).empty(), name + ": " + DeformConv2DCheck(deform));
    ForEachType([&](auto type) {
      using T = decltype(type);
      const std::vector<T> x = Values<T>(conv.x_elements(), 1), w = Values<T>(conv.w_elements(), 2);
      const std::vector<T> offset = Offsets<T>(deform.offset_elements()), dy = Values<T>(conv.y_elements(), 3);
      const std::vector<T> mask = Values<T>(test.masked ? deform.mask_elements() : 0, 4);
      std::vector<Sum> y_sums(dy.size()), dx_sums(x.size()), dw_sums(w.size()), doffset_sums(offset.size());
      std::vector<Sum> dmask_sums(mask.size());
      ForEachProduct(deform, offset, [&](const Corner& corner, int64_t xi, int64_t wi, int64_t yi, int64_t mi) {
        const double xv = ToCompute(x[xi]), wv = ToCompute(w[wi]), dyv = ToCompute(dy[yi]);
        const double m = test.masked ? double(ToCompute(mask[mi])) : 1;
        y_sums[yi].Add(m * corner.weight * xv * wv);
        dx_sums[xi].Add(m * corner.weight * wv * dyv);
        dw_sums[wi].Add(m * corner.weight * xv * dyv);
        doffset_sums[2 * mi].Add(m * corner.down * xv * wv * dyv);
        doffset_sums[2 * mi + 1].Add(m * corner.right * xv * wv * dyv);
        if (test.masked) dmask_sums[mi].Add(corner.weight * xv * wv * dyv);
      });
      const Results<T> one = Run(deform, x, w, offset, mask, dy, 1), three = Run(deform, x, w, offset, mask, dy, 3);
      const auto check = [&](const std::vector<T>& a, const std::vector<T>& b, const std::vector<Sum>& sums,
                             const char* what) {
        ExpectClose(a, sums, name + what);
        ExpectSameBits(a, b, name + what + ": one thread and three");
      };
      check(one.y, three.y, y_sums, ", forward");
      check(one.dx, three.dx, dx_sums, ", input gradient");
      check(one.dw, three.dw, dw_sums, ", filter gradient");
      check(one.doffset, three.doffset, doffset_sums, ", offset gradient");
      check(one.dmask, three.dmask, dmask_sums, ", mask gradient");
    });
  }
}

// What is no number, infinite or too far for an integer lies outside the image.
KERASCNN_TEST(DeformConv2DAnyOffset) {
  const DeformConv2D deform = Make({1, 4, 5, 3, 2, 1, 1, 2, 2, 1, 1, false, true});
  const double infinity = std::numeric_limits<double>::infinity();
  for (const double far : {std::nan(""), infinity, -infinity, 3e38, -3e38, 1e9, -1e9, 0x1p31, -0x1p31, 0x1p63, 7.0}) {
    ForEachType([&](auto type) {
      using T = decltype(type);
      const std::vector<T> x = Values<T>(deform.conv.x_elements(), 1), w = Values<T>(deform.conv.w_elements(), 2);
      const std::vector<T> mask = Values<T>(deform.mask_elements(), 3), dy = Values<T>(deform.conv.y_elements(), 4);
      const std::vector<T> offset(deform.offset_elements(), FromCompute<T>(static_cast<Compute<T>>(far)));
      const Results<T> r = Run(deform, x, w, offset, mask, dy, 2);
      for (const std::vector<T>* result : {&r.y, &r.dx, &r.dw, &r.doffset, &r.dmask}) {
        bool zero = true;
        for (const T& value : *result) zero = zero && ToCompute(value) == 0;
        Expect(zero, "deform_conv2d, offsets of " + std::to_string(far) + " " + Type<T>::kName);
      }
    });
  }
}

KERASCNN_TEST(DeformConv2DRefusals) {
  const auto refused = [](const DeformConv2D& deform, const std::string& rule) {
    const std::string wrong = DeformConv2DCheck(deform);
    Expect(wrong.find(rule) == 0 && wrong.find(" Received: ") != std::string::npos, rule + " but said: " + wrong);
  };
  const Case good = kCases[0];
  for (const int64_t groups : {int64_t{0}, int64_t{-1}, int64_t{3}, int64_t{1} << 62}) {
    DeformConv2D deform = Make(good);
    deform.offset_groups = groups;
    refused(deform, "The offset groups must be at least 1 and divide");
  }
  DeformConv2D stride = Make(good), large = Make(good), many = Make(good);
  stride.conv.stride_x = 0;
  refused(stride, "Strides must be at least 1");
  large.conv.height = int64_t{1} << 31;
  refused(large, "The images' extents must be below 2^31.");
  many.conv.batch = int64_t{1} << 30, many.conv.height = int64_t{1} << 20, many.conv.width = 1 << 8;
  refused(many, "A tensor would be too large to address.");
}

}  // namespace
}  // namespace testing
}  // namespace kerascnn
