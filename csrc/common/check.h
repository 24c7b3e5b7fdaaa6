// What the checks of kernels share: products that cannot overflow, and a sentence with what was received.
#ifndef KERASCNN_COMMON_CHECK_H_
#define KERASCNN_COMMON_CHECK_H_

#include <cstdint>
#include <initializer_list>
#include <sstream>
#include <string>

namespace kerascnn {

// Whether the product of non-negative factors is at most 2^62.
inline bool Fits(std::initializer_list<int64_t> factors) {
  int64_t product = 1;
  for (int64_t factor : factors) {
    if (factor != 0 && product > (int64_t{1} << 62) / factor) return false;
    product *= factor;
  }
  return true;
}

// "RULE Received: 1, 2, 3".
template <typename Number>
std::string Say(const char* rule, std::initializer_list<Number> received) {
  std::ostringstream text;
  text << rule << " Received: ";
  const char* separator = "";
  for (Number number : received) {
    text << separator << number;
    separator = ", ";
  }
  return text.str();
}

}  // namespace kerascnn

#endif  // KERASCNN_COMMON_CHECK_H_
