// kernels/program.h and the kernels behind it: convolutions against their definition in double precision, a program
// whose values share memory, bits with any number of threads, and lists of numbers that are no program.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <mutex>
#include <random>
#include <string>
#include <vector>

#include "common/shape.h"
#include "kernels/packed_conv2d.h"
#include "kernels/packed_depthwise2d.h"
#include "kernels/packed_winograd2d.h"
#include "kernels/program_cpu.h"
#include "kernels/program_text.h"
#include "tests/testing.h"

namespace kerascnn {
namespace testing {
namespace {

// Filters w [kernel, kernel, channels or 1, filters] with a ReLU behind them.
struct Case {
  int64_t batch, height, width, channels, filters, kernel, stride, dilation;
  bool depthwise;
};

std::vector<Sum> Expected(const Case& c, Padding pad_y, Padding pad_x, const std::vector<float>& x,
                          const std::vector<float>& w, const std::vector<float>& bias) {
  const int64_t rows = OutputSize(c.height, c.kernel, c.stride, c.dilation, pad_y);
  const int64_t columns = OutputSize(c.width, c.kernel, c.stride, c.dilation, pad_x);
  const int64_t depth = c.depthwise ? 1 : c.channels;
  std::vector<Sum> y(c.batch * rows * columns * c.filters);
  for (int64_t i = 0; i < static_cast<int64_t>(y.size()); ++i) {
    const int64_t o = i % c.filters, column = i / c.filters % columns, row = i / c.filters / columns % rows;
    const int64_t n = i / c.filters / columns / rows;
    y[i].Add(bias[o]);
    for (int64_t a = 0; a < c.kernel; ++a) {
      for (int64_t b = 0; b < c.kernel; ++b) {
        const int64_t v = row * c.stride + a * c.dilation - pad_y.before;
        const int64_t u = column * c.stride + b * c.dilation - pad_x.before;
        if (v < 0 || v >= c.height || u < 0 || u >= c.width) continue;
        for (int64_t k = 0; k < depth; ++k) {
          const int64_t channel = c.depthwise ? o : k;
          y[i].Add(static_cast<double>(x[((n * c.height + v) * c.width + u) * c.channels + channel]) *
                   w[((a * c.kernel + b) * depth + k) * c.filters + o]);
        }
      }
    }
    y[i].value = std::max(0.0, y[i].value);
  }
  return y;
}

template <typename Conv>
void Fill(const Case& c, Padding pad_y, Padding pad_x, Conv* conv) {
  conv->batch = c.batch, conv->height = c.height, conv->width = c.width, conv->channels = c.channels;
  conv->kernel_height = conv->kernel_width = c.kernel, conv->stride_y = conv->stride_x = c.stride;
  conv->dilation_y = conv->dilation_x = c.dilation, conv->top = pad_y.before, conv->left = pad_x.before;
  conv->output_height = OutputSize(c.height, c.kernel, c.stride, c.dilation, pad_y);
  conv->output_width = OutputSize(c.width, c.kernel, c.stride, c.dilation, pad_x);
  conv->x_step = c.channels, conv->y_step = c.filters, conv->activation = Activation::kRelu;
}

KERASCNN_TEST(PackedConvolutions) {
  const std::vector<Case> cases = {
      {1, 1, 1, 1, 1, 1, 1, 1, false},     {2, 5, 7, 3, 5, 3, 1, 1, false},    {1, 9, 4, 16, 33, 3, 2, 1, false},
      {1, 7, 7, 70, 32, 1, 1, 1, false},   {3, 4, 4, 300, 17, 1, 2, 1, false}, {1, 9, 9, 40, 49, 3, 1, 2, false},
      {1, 13, 14, 40, 33, 3, 1, 1, false}, {2, 7, 9, 64, 70, 3, 1, 1, false},  {3, 2, 1, 32, 48, 3, 1, 1, false},
      {1, 11, 8, 3, 8, 7, 2, 1, false},    {2, 5, 7, 3, 3, 3, 1, 1, true},     {1, 14, 15, 32, 32, 3, 1, 1, true},
      {1, 15, 16, 17, 17, 5, 2, 1, true},  {1, 9, 9, 20, 20, 7, 1, 1, true},   {2, 8, 9, 33, 33, 3, 3, 2, true},
  };
  int tried = 0;  // by Winograd's algorithm
  for (const Case& c : cases) {
    const Padding pad_y = SamePadding(c.height, c.kernel, c.stride, c.dilation);
    const Padding pad_x = SamePadding(c.width, c.kernel, c.stride, c.dilation);
    const int64_t taps = c.kernel * c.kernel, depth = c.depthwise ? 1 : c.channels;
    const auto x = Values<float>(c.batch * c.height * c.width * c.channels, 1);
    const auto w = Values<float>(taps * depth * c.filters, 2), bias = Values<float>(c.filters, 3);
    const std::vector<Sum> expected = Expected(c, pad_y, pad_x, x, w, bias);
    std::vector<float> first;
    for (int threads : {1, 3}) {
      auto y = Unwritten<float>(static_cast<int64_t>(expected.size()));
      if (c.depthwise) {
        Scratch packed(PackedDepthwiseElements(taps, c.channels) * 4);
        PackDepthwiseFilter(taps, c.channels, w.data(), static_cast<float*>(packed.get()));
        PackedDepthwise2D conv;
        Fill(c, pad_y, pad_x, &conv);
        conv.x = x.data(), conv.filter = static_cast<const float*>(packed.get()), conv.bias = bias.data();
        conv.y = y.data();
        RunPackedDepthwise2D(conv, ThreadsFor(threads));
      } else {
        const bool winograd =
            IsPackedWinograd2D(c.kernel, c.kernel, c.stride, c.stride, c.dilation, c.dilation, c.channels, c.filters);
        Scratch packed(
            4 * std::max(PackedWinogradElements(c.channels, c.filters), PackedFilterElements(taps * depth, c.filters)));
        Scratch scratch(PackedWinogradScratchBytes(threads));
        float* const filter = static_cast<float*>(packed.get());
        winograd ? PackWinogradFilter(c.channels, c.filters, w.data(), filter)
                 : PackFilter(taps * depth, c.filters, w.data(), filter);
        PackedConv2D conv;
        Fill(c, pad_y, pad_x, &conv);
        conv.filters = c.filters, conv.x = x.data(), conv.filter = filter, conv.bias = bias.data(), conv.y = y.data();
        winograd ? RunPackedWinograd2D(conv, scratch.get(), ThreadsFor(threads))
                 : RunPackedConv2D(conv, ThreadsFor(threads));
        tried += winograd && threads == 1;
      }
      const std::string what = std::to_string(c.channels) + " channels, kernel " + std::to_string(c.kernel);
      ExpectClose(y, expected, what);
      if (first.empty()) first = y;
      ExpectSameBits(first, y, what);
    }
  }
  Expect(tried == 3, std::to_string(tried) + " by Winograd's algorithm");
}

// Three convolutions (3x3, depthwise, in groups), two of whose results lie in a concatenation, a gate, a pool.
std::vector<int64_t> Numbers() {
  return {
      1, 4,  4, 3,  3,  3,  20, 1,  20, 4, 3, 3, 1, 20, 4,  3,  3,  5,  20,  // constants
      7,                                                                     //
      1, 16, 0, 0,  1,  -1, -1, -1, -1, 1, 1, 1, 1, 1,  -1, -1, -1, -1,      // conv
      1, 16, 1, 2,  -1, -1, -1, -1, -1, 3, 1, 1, 1, 1,  1,  1,  1,  1,       // depthwise
      1, 16, 2, 3,  -1, 1,  -1, -1, -1, 0, 1, 1, 1, 1,  -1, -1, -1, -1,      // in groups, and a sum
      5, 3,  1, 2,  3,                                                       // concat
      3, 1,  4,                                                              // mean
      4, 6,  4, -1, 5,  -1, -1, 6,                                           // times the mean, sigmoid
      2, 11, 6, 1,  0,  2,  2,  2,  2,  0, 0, 0, 0,                          // pool
  };
}

int64_t BitsOf(float number) {
  uint32_t bits;
  std::memcpy(&bits, &number, sizeof(bits));
  return bits;
}

// What transformers are made of, with every instruction for tokens.
std::vector<int64_t> TokenNumbers() {
  const int64_t scale = BitsOf(0.35f), epsilon = BitsOf(1e-6f);
  return {
      1,  6,  4,  2,  2,     3,       24, 2,  1,  24, 2,  17, 24, 1, 24, 4, 1, 1, 24, 72, 3, 3, 4, 4,  // constants
      14,                                                                                              //
      1,  16, 0,  0,  -1,    -1,      -1, -1, -1, 7,  2,  2,  1,  1, 0,  0, 0, 0,  // conv: 4x4 patches
      1,  16, 1,  4,  -1,    -1,      -1, -1, -1, 0,  1,  1,  1,  1, 0,  0, 0, 0,  // conv
      9,  6,  2,  3,  scale, 2,       1,  5,                                       // attention in windows
      10, 4,  3,  16, 1,     24,                                                   // reshape
      12, 3,  1,  2,  4,                                                           // stack
      8,  4,  5,  3,  3,     epsilon,                                              // norm
      1,  16, 6,  4,  -1,    -1,      -1, -1, -1, 0,  1,  1,  1,  1, 0,  0, 0, 0,  // conv
      9,  6,  7,  2,  scale, 0,       0,  -1,                                      // attention
      13, 2,  8,  -1,                                                              // transpose
      13, 2,  9,  5,                                                               // and back, plus the tokens
      11, 7,  10, 1,  0,     0,       0,  0,  0,                                   // crop: without the token
      10, 4,  11, 4,  4,     24,                                                   // reshape
      14, 10, 12, 1,  2,     2,       2,  2,  -1, -1, -1, -1,                      // patches
      3,  1,  13,                                                                  // mean
  };
}

// The same, with the first convolution of tokens in 8 bits.
std::vector<int64_t> Int8Numbers() {
  std::vector<int64_t> numbers = TokenNumbers();
  const int64_t second[] = {1, 16, 1};  // kind, fields, value
  const auto found = std::search(numbers.begin(), numbers.end(), std::begin(second), std::end(second));
  *found = 15;
  return numbers;
}

std::vector<float> RunNumbers(const std::vector<int64_t>& numbers, int64_t batch, int threads,
                              const std::vector<float>& images, ProgramPlan* used = nullptr,
                              const ProgramWatch* watch = nullptr) {
  Program program;
  const std::string wrong = ProgramParse(numbers.data(), static_cast<int64_t>(numbers.size()), &program);
  Expect(wrong.empty(), "a right program: " + wrong);
  ProgramPlan plan;
  const std::string unfit = ProgramPlan::Make(program, batch, {9, 8, 3}, threads, &plan);
  Expect(unfit.empty(), "a right program: " + unfit);
  if (!wrong.empty() || !unfit.empty()) return {};
  if (used != nullptr) *used = plan;
  const auto constants = Values<float>(program.constant_elements, 7);
  Scratch packed(ProgramPackedElements(program, plan.shapes) * 4), arena(plan.memory_elements() * 4);
  Scratch scratch(plan.memory_scratch_bytes());
  ProgramPack(program, plan.shapes, constants.data(), static_cast<float*>(packed.get()));
  auto result = Unwritten<float>(batch * plan.shapes.back().elements());
  ProgramRun(
      program, plan,
      {constants.data(), static_cast<const float*>(packed.get()), static_cast<float*>(arena.get()), scratch.get()},
      images.data(), result.data(), ThreadsFor(threads), watch);
  return result;
}

// How often each instruction began and ended.
class Counting final : public ProgramWatch {
 public:
  int64_t Begin(int64_t instruction) const override {
    const std::lock_guard<std::mutex> lock(mutex_);
    ++begun_[instruction];
    return instruction;
  }
  void End(int64_t begun) const override {
    const std::lock_guard<std::mutex> lock(mutex_);
    ++ended_[begun];
  }
  void Check(const ProgramPlan& plan, int64_t instructions) const {
    for (int64_t i = 0; i < instructions; ++i) {
      const int64_t wanted = i < plan.alone ? plan.batch : 1;
      Expect(begun_[i] == wanted && ended_[i] == wanted, "instruction " + std::to_string(i) + " is seen once a call");
    }
  }

 private:
  mutable std::mutex mutex_;
  mutable std::map<int64_t, int64_t> begun_, ended_;
};

KERASCNN_TEST(ProgramText) {
  const std::vector<std::string> maps = {"conv 3x3 9x8x3 > 9x8x20 relu",
                                         "depthwise 3x3 9x8x20 > 9x8x20 silu",
                                         "grouped 3x3 9x8x20 > 9x8x20 residual",
                                         "concat 9x8x20 > 9x8x60",
                                         "mean 9x8x60 > 1x1x60",
                                         "pass 9x8x60 > 9x8x60 gate sigmoid",
                                         "pool 2x2/2 9x8x60 > 4x4x60"};
  const std::vector<std::string> tokens = {"conv 2x2/2 9x8x3 > 4x4x24 gelu", "conv 1x1 4x4x24 > 4x4x72"};
  for (const std::vector<int64_t>& numbers : {Numbers(), TokenNumbers()}) {
    const bool of_maps = numbers == Numbers();
    Program program;
    ProgramParse(numbers.data(), static_cast<int64_t>(numbers.size()), &program);
    const Counting counting;
    ProgramPlan plan;
    RunNumbers(numbers, 3, 2, Values<float>(3 * 9 * 8 * 3, 5), &plan, &counting);
    counting.Check(plan, static_cast<int64_t>(program.instructions.size()));
    const std::vector<std::string>& wanted = of_maps ? maps : tokens;
    for (size_t i = 0; i < wanted.size(); ++i) {
      const std::string text = ProgramText(program, plan.shapes, static_cast<int64_t>(i));
      Expect(text == wanted[i], text + " is " + wanted[i]);
    }
    const auto products = [&](int64_t i) { return ProgramMultiplyAdds(program, plan.shapes, i); };
    if (of_maps) {
      Expect(products(0) == 9 * 8 * 20 * 27 && products(1) == 9 * 8 * 20 * 9 && products(2) == 9 * 8 * 20 * 45,
             "multiply-adds of convolutions");
      Expect(products(3) == 0 && products(5) == 0, "multiply-adds of what has no products");
    }
  }
}

KERASCNN_TEST(ProgramBits) {
  const auto images = Values<float>(3 * 9 * 8 * 3, 5);
  const std::vector<float> one_image(images.begin(), images.begin() + 9 * 8 * 3);
  for (const std::vector<int64_t>& numbers : {Numbers(), TokenNumbers(), Int8Numbers()}) {
    ProgramPlan plan;
    const std::vector<float> three = RunNumbers(numbers, 3, 1, images, &plan);
    Expect(plan.alone > 0, "maps that are larger than filters");
    ExpectSameBits(three, RunNumbers(numbers, 3, 3, images), "one thread and three");
    ExpectSameBits(three, RunNumbers(numbers, 3, 8, images, &plan), "image by image and all at once");
    Expect(plan.alone == 0, "more threads than images");
    const std::vector<float> first(three.begin(), three.begin() + static_cast<int64_t>(three.size()) / 3);
    ExpectSameBits(first, RunNumbers(numbers, 1, 2, one_image), "a batch and its first image");
    for (float value : three) Expect(std::isfinite(value), "a number");
    if (numbers != Numbers()) continue;
    for (float value : three) Expect(value >= 0 && value <= 1, "a sigmoid, or the greatest");
    Expect(plan.places[1].in_place && !plan.places[2].in_place, "what groups read does not lie in another map");
  }
}

KERASCNN_TEST(ProgramRefusals) {
  for (const std::vector<int64_t>& right : {Numbers(), TokenNumbers(), Int8Numbers()}) {
    Program program;
    for (size_t count = 0; count < right.size(); ++count) {
      const std::string wrong = ProgramParse(right.data(), static_cast<int64_t>(count), &program);
      Expect(!wrong.empty(), "a program that ends after " + std::to_string(count) + " numbers");
    }
    std::mt19937 random(1);
    const int64_t odd[] = {-1, 0, 1, 2, 5, 1 << 20, int64_t{1} << 31, int64_t{1} << 62, INT64_MAX, INT64_MIN};
    int refused = 0;
    for (int i = 0; i < 20000; ++i) {
      std::vector<int64_t> numbers = right;
      for (int change = 0; change < 2; ++change) numbers[random() % numbers.size()] = odd[random() % 10];
      // Where the numbers make sense, the shapes and the plan of such a program must, too; nothing is run here.
      std::string wrong = ProgramParse(numbers.data(), static_cast<int64_t>(numbers.size()), &program);
      ProgramPlan plan;
      if (wrong.empty()) wrong = ProgramPlan::Make(program, i % 3, {9, 8, 3}, 2, &plan);
      refused += !wrong.empty();
    }
    Expect(refused > 10000 && refused < 20000, "random programs: " + std::to_string(refused) + " refused");
    std::vector<MapShape> shapes;
    const MapShape large{int64_t{1} << 40, 1, 3}, wide{int64_t{1} << 31, int64_t{1} << 31, 3};
    Expect(!ProgramShapes(program, 1, large, &shapes).empty(), "images of 2^40 rows");
    Expect(!ProgramShapes(program, 0, wide, &shapes).empty(), "no images of 2^62 pixels");
  }
}

}  // namespace
}  // namespace testing
}  // namespace kerascnn
