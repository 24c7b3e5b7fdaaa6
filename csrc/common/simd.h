// One binary for every x86-64: the same source compiled for several instruction sets, one chosen at run time.
//
// A kernel puts its inner loops into `kernels/<op>_simd.inc`, without include directives, and its .cc says
//
//   #include "common/simd.h"                                     // and every other header the loops need, first
//   #define KERASCNN_SIMD_FILE "kernels/<op>_simd.inc"
//   #include "common/simd_foreach.h"
//   ...
//   KERASCNN_SIMD_CALL(RowForward<T>(arguments));                // runs the best copy
//
// simd_foreach.h includes the file once per level, each time in another namespace (baseline, avx2, avx512) and under
// another `#pragma GCC target`, so that functions, templates and lambdas in it are compiled for that level, while
// everything included before stays baseline code that may be inlined. Per-file compiler flags would instead let the
// linker pick an AVX-512 copy of some inline function of the standard library for every caller.
#ifndef KERASCNN_COMMON_SIMD_H_
#define KERASCNN_COMMON_SIMD_H_

#include <cstdlib>
#include <cstring>

#if defined(__x86_64__) && !defined(KERASCNN_BASELINE_ONLY)  // a test build where a third of the code says as much
#define KERASCNN_SIMD_X86 1
#include <immintrin.h>
#endif

namespace kerascnn {

enum class CpuLevel { kBaseline = 0, kAvx2 = 1, kAvx512 = 2 };

inline const char* CpuLevelName(CpuLevel level) {
  return level == CpuLevel::kAvx512 ? "avx512" : level == CpuLevel::kAvx2 ? "avx2" : "baseline";
}

// What this processor can run, lowered by KERASCNN_CPU_LEVEL=baseline|avx2|avx512 (for tests); decided once.
inline CpuLevel BestCpuLevel() {
  static const CpuLevel level = [] {
    CpuLevel best = CpuLevel::kBaseline;
#ifdef KERASCNN_SIMD_X86
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
      best = CpuLevel::kAvx2;
      if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
          __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
        best = CpuLevel::kAvx512;
      }
    }
#endif
    const char* limit = std::getenv("KERASCNN_CPU_LEVEL");
    if (limit != nullptr && !std::strcmp(limit, "baseline")) best = CpuLevel::kBaseline;
    if (limit != nullptr && !std::strcmp(limit, "avx2") && best == CpuLevel::kAvx512) best = CpuLevel::kAvx2;
    return best;
  }();
  return level;
}

// Whether there are instructions for products of bytes (AVX-512 VNNI). KERASCNN_CPU_LEVEL=avx512 does without.
inline bool HasVnni() {
#ifdef KERASCNN_SIMD_X86
  static const bool has = [] {
    const char* limit = std::getenv("KERASCNN_CPU_LEVEL");
    return BestCpuLevel() == CpuLevel::kAvx512 && __builtin_cpu_supports("avx512vnni") &&
           (limit == nullptr || std::strcmp(limit, "avx512") != 0);
  }();
  return has;
#else
  return false;
#endif
}

}  // namespace kerascnn

#ifdef KERASCNN_SIMD_X86
#define KERASCNN_SIMD_CALL(...)            \
  do {                                     \
    switch (::kerascnn::BestCpuLevel()) {  \
      case ::kerascnn::CpuLevel::kAvx512:  \
        ::kerascnn::avx512::__VA_ARGS__;   \
        break;                             \
      case ::kerascnn::CpuLevel::kAvx2:    \
        ::kerascnn::avx2::__VA_ARGS__;     \
        break;                             \
      default:                             \
        ::kerascnn::baseline::__VA_ARGS__; \
    }                                      \
  } while (false)
#else
#define KERASCNN_SIMD_CALL(...) ::kerascnn::baseline::__VA_ARGS__
#endif

#endif  // KERASCNN_COMMON_SIMD_H_
