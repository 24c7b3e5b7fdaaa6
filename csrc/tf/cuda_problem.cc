// What keeps the CUDA kernels of this library from running here, for Python (ctypes).
#include <string>

#ifdef KERASCNN_CUDA
#include "common/cuda_device.h"
#endif

// In words, "" if nothing. Nothing is started on a device.
extern "C" __attribute__((visibility("default"))) const char* kerascnn_cuda_problem() {
#ifdef KERASCNN_CUDA
  static const std::string problem = kerascnn::CudaProblem();
  return problem.c_str();
#else
  return "The library was built without CUDA";
#endif
}
