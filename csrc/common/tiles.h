// Which matrix unit multiplies tiles of bfloat16: AMX of x86, or the same instructions emulated, for tests.
#ifndef KERASCNN_COMMON_TILES_H_
#define KERASCNN_COMMON_TILES_H_

#include <cstdlib>
#include <cstring>

#include "common/simd.h"

#if defined(KERASCNN_SIMD_X86) && defined(__linux__)
#define KERASCNN_TILES_AMX 1
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace kerascnn {

enum class TileUnit { kNone = 0, kEmulated = 1, kAmx = 2 };

inline const char* TileUnitName(TileUnit unit) {
  return unit == TileUnit::kAmx ? "amx" : unit == TileUnit::kEmulated ? "emulated" : "none";
}

// Whether the processor has AMX and AVX-512 with bfloat16, and the kernel lets this process use the tile registers,
// which it saves for those alone that have asked.
inline bool HasAmx() {
#ifdef KERASCNN_TILES_AMX
  if (BestCpuLevel() != CpuLevel::kAvx512) return false;
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return false;
  constexpr unsigned kAmxBfloat16 = 1u << 22, kAmxTile = 1u << 24;
  if (!(d & kAmxBfloat16) || !(d & kAmxTile)) return false;
  if (!__get_cpuid_count(7, 1, &a, &b, &c, &d) || !(a & (1u << 5))) return false;  // AVX512_BF16
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

// AMX where it can run; KERASCNN_TILES=off|emulated says otherwise. Decided once.
inline TileUnit BestTileUnit() {
  static const TileUnit unit = [] {
    const char* said = std::getenv("KERASCNN_TILES");
    if (said != nullptr && !std::strcmp(said, "emulated")) return TileUnit::kEmulated;
    if (said != nullptr && !std::strcmp(said, "off")) return TileUnit::kNone;
    return HasAmx() ? TileUnit::kAmx : TileUnit::kNone;
  }();
  return unit;
}

}  // namespace kerascnn

#endif  // KERASCNN_COMMON_TILES_H_
