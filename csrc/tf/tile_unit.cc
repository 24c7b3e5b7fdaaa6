// Which matrix unit this process multiplies tiles of bfloat16 with, for Python (ctypes).
#include "common/tiles.h"

// "amx", "emulated" or "none".
extern "C" __attribute__((visibility("default"))) const char* kerascnn_tile_unit() {
  return kerascnn::TileUnitName(kerascnn::BestTileUnit());
}
