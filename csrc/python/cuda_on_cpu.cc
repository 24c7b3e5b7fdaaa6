// The Python module `kerascnn._cuda_on_cpu`, for tests: the CUDA kernels compiled for the CPU (common/cuda_shim.h). Its
// functions are those of `kerascnn._kernels` that take `out`; every buffer counts as device memory.
#include <pybind11/pybind11.h>

#include <stdexcept>
#include <string>

#include "common/cuda_launch.h"
#include "common/cuda_vector.h"

namespace kerascnn {

void BindConv2DBuffers(pybind11::module_& module);
void BindDeformConv2DBuffers(pybind11::module_& module);
void BindLrnBuffers(pybind11::module_& module);
void BindSafPool2DBuffers(pybind11::module_& module);

namespace {

// Kernels that show what the imitation does: one right, the others wrong in one way each.
__global__ void Right(double* sum, double* first, unsigned* odd) {
  KERASCNN_SHARED(double, spare);
  const double total = BlockSum(double(GlobalThread() + 1), spare);
  const unsigned votes = __ballot_sync(kAllLanes, threadIdx.x % 2 == 1);
  const double other = __shfl_sync(kAllLanes, double(threadIdx.x), 1, 8);
  if (threadIdx.x == blockDim.x - 1) {
    atomicAdd(sum, total);
    *first = other;
    *odd = votes;
  }
}
__global__ void MissesBarrier() {
  if (threadIdx.x < 40) __syncthreads();
}
__global__ void MissesShuffle() {
  if (threadIdx.x != 5) WarpSum(1.0f);
}
__global__ void ReadsOutsideMask() {
  if (threadIdx.x < 16) __shfl_sync(0xffff, 1.0f, 20);
}
__global__ void NotInMask() { __shfl_sync(1, 1.0f, 0); }
__global__ void Unaligned(const float* memory) { LoadVector<4>(memory + 1); }
__global__ void ReadsSharedTooEarly(float* value) {
  KERASCNN_SHARED(float, memory);
  if (threadIdx.x == 0) *value = memory[0];
}

std::string Probe(const std::string& name) {
  alignas(16) float memory[8] = {};
  if (name == "missed barrier") return Launch(MissesBarrier, {2, 64}, nullptr);
  if (name == "missed shuffle") return Launch(MissesShuffle, {2, 64}, nullptr);
  if (name == "outside mask") return Launch(ReadsOutsideMask, {2, 32}, nullptr);
  if (name == "not in mask") return Launch(NotInMask, {2, 32}, nullptr);
  if (name == "unaligned") return Launch(Unaligned, {1, 32}, nullptr, memory);
  if (name == "odd block") return Launch(MissesBarrier, {1, 33}, nullptr);
  if (name == "no blocks") return Launch(MissesBarrier, {0, 64}, nullptr);
  if (name == "shared") {
    const std::string wrong = Launch(ReadsSharedTooEarly, {1, 32, 64}, nullptr, memory);
    return wrong.empty() && std::isnan(memory[0]) ? "NaN" : wrong;
  }
  throw std::invalid_argument(name);
}

pybind11::tuple RightProbe(int64_t blocks, int threads) {
  double sum = 0, first = 0;
  unsigned odd = 0;
  const std::string wrong = Launch(Right, {blocks, threads, 32 * 8}, nullptr, &sum, &first, &odd);
  return pybind11::make_tuple(wrong, sum, first, odd);
}

}  // namespace
}  // namespace kerascnn

PYBIND11_MODULE(_cuda_on_cpu, module) {
  module.doc() = "kerascnn's CUDA kernels on the CPU, for tests.";
  module.def("set_max_blocks", &kerascnn::shim::SetMaxBlocks, pybind11::arg("blocks"),
             "Cuts every grid to so many blocks, so that small arrays reach the loops over blocks; 0: no limit.");
  module.def("probe", &kerascnn::Probe, pybind11::arg("name"), "What Launch() says of a kernel that is wrong so.");
  module.def("right_probe", &kerascnn::RightProbe, pybind11::arg("blocks"), pybind11::arg("threads"),
             "(what went wrong, sum of 1 to threads * blocks taken threads times, a neighbor's number, votes).");
  kerascnn::BindConv2DBuffers(module);
  kerascnn::BindDeformConv2DBuffers(module);
  kerascnn::BindLrnBuffers(module);
  kerascnn::BindSafPool2DBuffers(module);
}
