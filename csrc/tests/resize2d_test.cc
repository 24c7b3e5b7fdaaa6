// kernels/resize2d.h against its formula in double precision.
#include "kernels/resize2d.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "tests/testing.h"

namespace kerascnn {
namespace testing {
namespace {

double Weight(ResizeKernel kernel, double x) {
  x = std::abs(x);
  if (kernel == ResizeKernel::kBilinear) return std::max(0.0, 1 - x);
  const double a = -0.5;
  if (x < 1) return (a + 2) * x * x * x - (a + 3) * x * x + 1;
  return x < 2 ? a * x * x * x - 5 * a * x * x + 8 * a * x - 4 * a : 0;
}

// The matrix of an axis, [out, in].
std::vector<double> Matrix(int64_t in, int64_t out, ResizeKernel kernel) {
  std::vector<double> matrix(in * out);
  const double spread = std::max(1.0, static_cast<double>(in) / out);
  for (int64_t i = 0; i < out; ++i) {
    double sum = 0;
    for (int64_t j = 0; j < in; ++j) {
      matrix[i * in + j] = Weight(kernel, (j + 0.5 - (i + 0.5) * in / out) / spread);
      sum += matrix[i * in + j];
    }
    for (int64_t j = 0; j < in; ++j) matrix[i * in + j] /= sum;
  }
  return matrix;
}

KERASCNN_TEST(Resize2DKernel) {
  const std::vector<Resize2DShape> shapes = {
      {1, 30, 40, 3, 9, 11}, {2, 7, 9, 1, 20, 5},  {1, 5, 4, 4, 5, 4},     {1, 1, 1, 3, 6, 7},
      {3, 12, 3, 2, 1, 1},   {1, 9, 50, 3, 8, 70}, {1, 33, 21, 67, 4, 40},
  };
  for (const Resize2DShape& s : shapes) {
    for (ResizeKernel kernel : {ResizeKernel::kBilinear, ResizeKernel::kBicubic}) {
      const std::string name = std::to_string(s.height) + "x" + std::to_string(s.width) + "x" +
                               std::to_string(s.channels) + " to " + std::to_string(s.out_height) + "x" +
                               std::to_string(s.out_width);
      Expect(Resize2DCheck(s).empty(), name);
      std::vector<uint8_t> x(s.images * s.height * s.width * s.channels);
      std::mt19937 random(1);
      for (uint8_t& value : x) value = static_cast<uint8_t>(random());
      const int64_t count = s.images * s.out_height * s.out_width * s.channels;
      std::vector<uint8_t> y(count), again(count);
      Resize2D(s, kernel, x.data(), y.data(), SerialFor());
      Resize2D(s, kernel, x.data(), again.data(), ThreadsFor(3));
      Expect(y == again, name + " with threads");
      const std::vector<double> rows = Matrix(s.height, s.out_height, kernel),
                                columns = Matrix(s.width, s.out_width, kernel);
      for (int64_t i = 0; i < count; ++i) {
        const int64_t c = i % s.channels, column = i / s.channels % s.out_width,
                      row = i / s.channels / s.out_width % s.out_height,
                      image = i / s.channels / s.out_width / s.out_height;
        double sum = 0;
        for (int64_t a = 0; a < s.height; ++a) {
          for (int64_t b = 0; b < s.width; ++b) {
            sum += rows[row * s.height + a] * columns[column * s.width + b] *
                   x[((image * s.height + a) * s.width + b) * s.channels + c];
          }
        }
        Expect(std::abs(std::clamp(sum, 0.0, 255.0) - y[i]) <= 0.501, name);
      }
    }
  }
  Expect(!Resize2DCheck({1, 0, 4, 3, 2, 2}).empty(), "no rows");
  Expect(!Resize2DCheck({0, 4, 4, 3, 2, 2}).empty(), "no images");
  Expect(!Resize2DCheck({1, 4, 4, 3, 2, (1 << 24) + 1}).empty(), "too wide");
  Expect(!Resize2DCheck({int64_t{1} << 40, 4, 4, int64_t{1} << 40, 2, 2}).empty(), "too many values");
}

}  // namespace
}  // namespace testing
}  // namespace kerascnn
