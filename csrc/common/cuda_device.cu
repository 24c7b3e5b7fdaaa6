// cuda_device.h with the CUDA runtime, or with plain memory where kernels run on the CPU.
#include <new>

#include "common/cuda_device.h"
#include "common/cuda_launch.h"

namespace kerascnn {

#ifdef KERASCNN_CUDA_ON_CPU

std::string CudaProblem() { return ""; }
std::string UseDeviceOf(const void*) { return ""; }
std::string WaitForStream(void*) { return ""; }

DeviceScratch::DeviceScratch(int64_t bytes, void* stream) : stream_(stream) {
  if (bytes > 0) data_ = ::operator new(bytes, std::align_val_t(256));
}

DeviceScratch::~DeviceScratch() { ::operator delete(data_, std::align_val_t(256)); }

#else

std::string CudaProblem() {
  int devices = 0;
  cudaError_t code = cudaGetDeviceCount(&devices);
  for (int device = 0; device < devices && code == cudaSuccess; ++device) {
    int major = 0;
    code = cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device);
    if (code == cudaSuccess && major < 8) {
      return "CUDA: device " + std::to_string(device) + " is older than compute capability 8.0";
    }
  }
  if (code != cudaSuccess) cudaGetLastError();
  return CudaError(code);
}

std::string UseDeviceOf(const void* pointer) {
  cudaPointerAttributes attributes;
  const cudaError_t code = cudaPointerGetAttributes(&attributes, pointer);
  if (code != cudaSuccess) return CudaError(code);
  if (attributes.type != cudaMemoryTypeDevice && attributes.type != cudaMemoryTypeManaged) {
    return "CUDA: the pointer is not in a device's memory";
  }
  return CudaError(cudaSetDevice(attributes.device));
}

std::string WaitForStream(void* stream) { return CudaError(cudaStreamSynchronize(static_cast<cudaStream_t>(stream))); }

DeviceScratch::DeviceScratch(int64_t bytes, void* stream) : stream_(stream) {
  if (bytes > 0) wrong_ = CudaError(cudaMallocAsync(&data_, bytes, static_cast<cudaStream_t>(stream)));
}

DeviceScratch::~DeviceScratch() {
  if (data_ != nullptr) cudaFreeAsync(data_, static_cast<cudaStream_t>(stream_));
}

#endif

}  // namespace kerascnn
