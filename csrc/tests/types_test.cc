// common/types.h: the two 16-bit types, exhaustively.
#include "common/types.h"

#include <cmath>
#include <cstdint>

#include "tests/testing.h"

namespace kerascnn {
namespace testing {
namespace {

// By arithmetic on exponents, not on bits as in types.h.
double ValueOfHalf(uint16_t bits) {
  const int exponent = bits >> 10 & 31, mantissa = bits & 1023;
  const double sign = bits >> 15 ? -1 : 1;
  return sign * (exponent ? std::ldexp(1024 + mantissa, exponent - 25) : std::ldexp(mantissa, -24));
}

double ValueOfBfloat16(uint16_t bits) {
  const int exponent = bits >> 7 & 255, mantissa = bits & 127;
  const double sign = bits >> 15 ? -1 : 1;
  return sign * (exponent ? std::ldexp(128 + mantissa, exponent - 134) : std::ldexp(mantissa, -133));
}

// Every number is read exactly and comes back; halfway between two neighbors the one with the even mantissa wins.
template <typename T>
void EveryNumber(double (*value_of)(uint16_t), int infinity) {
  for (int sign = 0; sign < 0x10000; sign += 0x8000) {
    for (int bits = 0; bits < infinity; ++bits) {
      const uint16_t pattern = static_cast<uint16_t>(sign | bits);
      const float value = ToCompute(T{pattern});
      const bool same = static_cast<double>(value) == value_of(pattern) && FromCompute<T>(value).bits == pattern;
      if (!same) Expect(false, std::string(Type<T>::kName) + " " + std::to_string(pattern));
      if (bits + 1 == infinity) continue;
      const uint16_t next = static_cast<uint16_t>(pattern + 1);
      const float middle = static_cast<float>((value_of(pattern) + value_of(next)) / 2);
      const uint16_t even = pattern & 1 ? next : pattern;
      if (FromCompute<T>(middle).bits != even) {
        Expect(false, std::string(Type<T>::kName) + " above " + std::to_string(pattern));
      }
    }
    const uint16_t pattern = static_cast<uint16_t>(sign | infinity);
    const float infinite = ToCompute(T{pattern});
    Expect(std::isinf(infinite) && FromCompute<T>(infinite).bits == pattern, "infinity");
    for (int bits = infinity + 1; bits < 0x8000; bits += 7) {
      const float nan = ToCompute(T{static_cast<uint16_t>(sign | bits)});
      const bool stays = std::isnan(nan) && std::isnan(ToCompute(FromCompute<T>(nan)));
      if (!stays) Expect(false, "NaN");
    }
  }
}

KERASCNN_TEST(TypesHalf) { EveryNumber<half>(ValueOfHalf, 0x7c00); }
KERASCNN_TEST(TypesBfloat16) { EveryNumber<bfloat16>(ValueOfBfloat16, 0x7f80); }

}  // namespace
}  // namespace testing
}  // namespace kerascnn
