// The Python module `kerascnn._kernels`: the kernels on NumPy arrays, without TensorFlow.
#include <pybind11/pybind11.h>

#include "common/simd.h"

namespace kerascnn {
void BindConv2D(pybind11::module_& module);
void BindConv2DBuffers(pybind11::module_& module);
void BindDeformConv2D(pybind11::module_& module);
void BindDeformConv2DBuffers(pybind11::module_& module);
void BindLrn(pybind11::module_& module);
void BindLrnBuffers(pybind11::module_& module);
void BindResize2D(pybind11::module_& module);
void BindSafPool2D(pybind11::module_& module);
void BindSafPool2DBuffers(pybind11::module_& module);
}  // namespace kerascnn

PYBIND11_MODULE(_kernels, module) {
  module.doc() = "kerascnn's C++ kernels on NumPy arrays.";
  module.def(
      "cpu_level", [] { return kerascnn::CpuLevelName(kerascnn::BestCpuLevel()); },
      "The instruction set that the kernels use on this machine: baseline, avx2 or avx512.");
  kerascnn::BindConv2D(module);
  kerascnn::BindConv2DBuffers(module);
  kerascnn::BindDeformConv2D(module);
  kerascnn::BindDeformConv2DBuffers(module);
  kerascnn::BindLrn(module);
  kerascnn::BindLrnBuffers(module);
  kerascnn::BindResize2D(module);
  kerascnn::BindSafPool2D(module);
  kerascnn::BindSafPool2DBuffers(module);
}
