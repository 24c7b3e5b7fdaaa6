// Whether kernels can run here; device and memory for callers that have no framework to give them: the Python module.
#ifndef KERASCNN_COMMON_CUDA_DEVICE_H_
#define KERASCNN_COMMON_CUDA_DEVICE_H_

#include <cstdint>
#include <string>

namespace kerascnn {

// What keeps kernels from running on this machine's devices (no driver, an old one, an old device), in words, else "".
std::string CudaProblem();

// Makes the device that holds `pointer` the calling thread's own; what went wrong in words, "" if nothing.
std::string UseDeviceOf(const void* pointer);

// Returns when all work given to `stream` so far is done.
std::string WaitForStream(void* stream);

// Device memory for the kernels that are started on `stream` while this lives. Freed in the stream's order.
class DeviceScratch {
 public:
  DeviceScratch(int64_t bytes, void* stream);
  ~DeviceScratch();
  DeviceScratch(const DeviceScratch&) = delete;
  DeviceScratch& operator=(const DeviceScratch&) = delete;
  void* data() const { return data_; }
  const std::string& wrong() const { return wrong_; }  // in words, "" if there is memory or none was asked for

 private:
  void* data_ = nullptr;
  void* stream_;
  std::string wrong_;
};

}  // namespace kerascnn

#endif  // KERASCNN_COMMON_CUDA_DEVICE_H_
