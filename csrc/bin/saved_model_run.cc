// Runs signatures of a SavedModel through TensorFlow's C API: no Python, no protobuf library, no TensorFlow C++
// headers.
//
//   saved_model_run [--library OPS.so]... MODEL_DIR SIGNATURE INPUT OUTPUT [SIGNATURE INPUT OUTPUT]...
//
// INPUT holds the tensors to feed under the names that the signature gives them; OUTPUT receives all of its outputs, by
// name. A tensor file (kerascnn/serving/_tensor_file.py reads and writes the same), little-endian:
//   "KCNTENS1", uint32 count, then for each tensor
//   uint32 length, name; uint32 type (TF_DataType); uint32 rank; int64 dims[rank]; the values in C order.
//   A string value is uint64 length and its bytes.
// Exit status: 0 done, 2 wrong usage, 3 the model or library does not load, 4 bad input, 5 the run failed, 6 no output.

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tensorflow/c/c_api.h"

namespace {

enum Exit { kDone = 0, kUsage = 2, kNoModel = 3, kBadInput = 4, kRunFailed = 5, kNoOutput = 6 };

constexpr char kMagic[] = "KCNTENS1";

[[noreturn]] void Fail(Exit code, const std::string& message) {
  std::cerr << "saved_model_run: " << message << std::endl;
  std::_Exit(code);  // TensorFlow's threads may still run; there is nothing to flush
}

void Check(const TF_Status* status, Exit code, const std::string& what) {
  if (TF_GetCode(status) != TF_OK) Fail(code, what + ": " + TF_Message(status));
}

// Bytes with a position; reading past the end is an error with a name, never undefined behavior.
class Reader {
 public:
  Reader(const char* data, size_t size, Exit code, std::string what)
      : data_(data), size_(size), code_(code), what_(std::move(what)) {}

  bool Done() const { return at_ == size_; }

  const char* Bytes(uint64_t count) {
    if (count > size_ - at_) Fail(code_, what_ + " is truncated");
    const char* begin = data_ + at_;
    at_ += count;
    return begin;
  }

  template <typename T>
  T Number() {
    T value;
    std::memcpy(&value, Bytes(sizeof(T)), sizeof(T));
    return value;
  }

  std::string String(uint64_t count) { return std::string(Bytes(count), count); }

  // Protocol buffers: a base-128 number, least significant group first.
  uint64_t Varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const uint8_t byte = Number<uint8_t>();
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    Fail(code_, what_ + " is damaged");
  }

  // The next field of a message; length-delimited ones return their bytes, others are passed over.
  std::pair<uint64_t, std::string> Field() {
    const uint64_t tag = Varint();
    switch (tag & 7) {
      case 0:
        Varint();
        return {0, ""};
      case 1:
        Bytes(8);
        return {0, ""};
      case 2:
        return {tag >> 3, String(Varint())};
      case 5:
        Bytes(4);
        return {0, ""};
      default:
        Fail(code_, what_ + " is damaged");
    }
  }

 private:
  const char* data_;
  size_t size_;
  size_t at_ = 0;
  Exit code_;
  std::string what_;
};

using Message = std::multimap<uint64_t, std::string>;  // field number -> bytes

Message Parse(const std::string& bytes) {
  Reader reader(bytes.data(), bytes.size(), kNoModel, "the model's MetaGraphDef");
  Message message;
  while (!reader.Done()) message.insert(reader.Field());
  return message;
}

std::string First(const Message& message, uint64_t field) {
  const auto found = message.find(field);
  return found == message.end() ? "" : found->second;
}

// The entries of a protocol buffer map<string, message>: key = 1, value = 2.
std::map<std::string, Message> ParseMap(const Message& message, uint64_t field) {
  std::map<std::string, Message> entries;
  const auto range = message.equal_range(field);
  for (auto it = range.first; it != range.second; ++it) {
    const Message entry = Parse(it->second);
    entries[First(entry, 1)] = Parse(First(entry, 2));
  }
  return entries;
}

struct Signature {
  std::map<std::string, std::string> inputs, outputs;  // name -> "operation:index"
};

// MetaGraphDef.signature_def = 5; SignatureDef.inputs = 1, outputs = 2; TensorInfo.name = 1.
std::map<std::string, Signature> ParseSignatures(const TF_Buffer* meta_graph) {
  std::map<std::string, Signature> signatures;
  const Message graph = Parse(std::string(static_cast<const char*>(meta_graph->data), meta_graph->length));
  for (const auto& [name, definition] : ParseMap(graph, 5)) {
    Signature& signature = signatures[name];
    for (const auto& [key, info] : ParseMap(definition, 1)) signature.inputs[key] = First(info, 1);
    for (const auto& [key, info] : ParseMap(definition, 2)) signature.outputs[key] = First(info, 1);
  }
  return signatures;
}

TF_Output Find(TF_Graph* graph, const std::string& tensor) {
  const size_t colon = tensor.rfind(':');
  const std::string operation = tensor.substr(0, colon);
  TF_Output output{TF_GraphOperationByName(graph, operation.c_str()), 0};
  if (output.oper == nullptr) Fail(kNoModel, "the graph has no operation " + operation);
  if (colon != std::string::npos) output.index = std::atoi(tensor.c_str() + colon + 1);
  return output;
}

void FreeStrings(void* data, size_t size, void*) {
  auto* strings = static_cast<TF_TString*>(data);
  for (size_t i = 0; i < size / sizeof(TF_TString); ++i) TF_StringDealloc(&strings[i]);
  delete[] strings;
}

TF_Tensor* ReadTensor(Reader& file) {
  const auto type = static_cast<TF_DataType>(file.Number<uint32_t>());
  std::vector<int64_t> dims(file.Number<uint32_t>() & 0xff);
  int64_t count = 1;
  for (int64_t& dim : dims) {
    dim = file.Number<int64_t>();
    if (dim < 0 || (dim > 0 && count > (int64_t{1} << 40) / dim)) Fail(kBadInput, "a tensor's shape is not sensible");
    count *= dim;
  }
  const int rank = static_cast<int>(dims.size());
  if (type == TF_STRING) {
    std::vector<std::string> values;  // grows with what the file really holds, whatever its header says
    for (int64_t i = 0; i < count; ++i) values.push_back(file.String(file.Number<uint64_t>()));
    auto* strings = new TF_TString[values.size()];
    for (size_t i = 0; i < values.size(); ++i) {
      TF_StringInit(&strings[i]);
      TF_StringCopy(&strings[i], values[i].data(), values[i].size());
    }
    return TF_NewTensor(type, dims.data(), rank, strings, values.size() * sizeof(TF_TString), FreeStrings, nullptr);
  }
  const size_t size = TF_DataTypeSize(type) * static_cast<size_t>(count);
  if (TF_DataTypeSize(type) == 0) Fail(kBadInput, "a tensor has a type that cannot be fed");
  const char* bytes = file.Bytes(size);
  TF_Tensor* tensor = TF_AllocateTensor(type, dims.data(), rank, size);
  if (size > 0) std::memcpy(TF_TensorData(tensor), bytes, size);
  return tensor;
}

std::map<std::string, TF_Tensor*> ReadTensors(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream) Fail(kBadInput, "cannot read " + path);
  const std::string bytes{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  Reader file(bytes.data(), bytes.size(), kBadInput, path);
  if (file.String(sizeof(kMagic) - 1) != kMagic) Fail(kBadInput, path + " is not a tensor file");
  std::map<std::string, TF_Tensor*> tensors;
  const uint32_t count = file.Number<uint32_t>();
  for (uint32_t i = 0; i < count; ++i) {
    const std::string name = file.String(file.Number<uint32_t>());
    tensors[name] = ReadTensor(file);
  }
  if (!file.Done()) Fail(kBadInput, path + " has bytes after its last tensor");
  return tensors;
}

template <typename T>
void Append(std::string& bytes, T value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof(T));
}

void AppendTensor(std::string& bytes, const std::string& name, const TF_Tensor* tensor) {
  Append(bytes, static_cast<uint32_t>(name.size()));
  bytes += name;
  Append(bytes, static_cast<uint32_t>(TF_TensorType(tensor)));
  Append(bytes, static_cast<uint32_t>(TF_NumDims(tensor)));
  for (int i = 0; i < TF_NumDims(tensor); ++i) Append(bytes, TF_Dim(tensor, i));
  if (TF_TensorType(tensor) != TF_STRING) {
    bytes.append(static_cast<const char*>(TF_TensorData(tensor)), TF_TensorByteSize(tensor));
    return;
  }
  const auto* strings = static_cast<const TF_TString*>(TF_TensorData(tensor));
  for (int64_t i = 0; i < TF_TensorElementCount(tensor); ++i) {
    Append(bytes, static_cast<uint64_t>(TF_StringGetSize(&strings[i])));
    bytes.append(TF_StringGetDataPointer(&strings[i]), TF_StringGetSize(&strings[i]));
  }
}

void Run(TF_Session* session, TF_Graph* graph, const Signature& signature, const std::string& input,
         const std::string& output) {
  const std::map<std::string, TF_Tensor*> fed = ReadTensors(input);
  std::vector<TF_Output> feeds, fetches;
  std::vector<TF_Tensor*> values, results(signature.outputs.size());
  for (const auto& [name, tensor] : signature.inputs) {
    const auto found = fed.find(name);
    if (found == fed.end()) Fail(kBadInput, input + " lacks the input " + name);
    feeds.push_back(Find(graph, tensor));
    values.push_back(found->second);
  }
  for (const auto& entry : signature.outputs) fetches.push_back(Find(graph, entry.second));

  TF_Status* status = TF_NewStatus();
  TF_SessionRun(session, nullptr, feeds.data(), values.data(), static_cast<int>(feeds.size()), fetches.data(),
                results.data(), static_cast<int>(fetches.size()), nullptr, 0, nullptr, status);
  Check(status, kRunFailed, "the run failed");
  TF_DeleteStatus(status);

  std::string bytes = kMagic;
  Append(bytes, static_cast<uint32_t>(results.size()));
  size_t index = 0;
  for (const auto& entry : signature.outputs) AppendTensor(bytes, entry.first, results[index++]);
  std::ofstream stream(output, std::ios::binary);
  stream.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  stream.close();
  if (!stream) Fail(kNoOutput, "cannot write " + output);
  for (TF_Tensor* tensor : results) TF_DeleteTensor(tensor);
  for (const auto& entry : fed) TF_DeleteTensor(entry.second);
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> arguments(argv + 1, argv + argc);
  TF_Status* status = TF_NewStatus();
  size_t at = 0;
  for (; at + 1 < arguments.size() && arguments[at] == "--library"; at += 2) {
    TF_LoadLibrary(arguments[at + 1].c_str(), status);
    Check(status, kNoModel, "the op library does not load");
  }
  arguments.erase(arguments.begin(), arguments.begin() + static_cast<std::ptrdiff_t>(at));
  if (arguments.size() < 4 || arguments.size() % 3 != 1) {
    Fail(kUsage,
         "usage: saved_model_run [--library OPS.so]... MODEL_DIR SIGNATURE INPUT OUTPUT [SIGNATURE INPUT OUTPUT]...");
  }

  TF_Graph* graph = TF_NewGraph();
  TF_SessionOptions* options = TF_NewSessionOptions();
  TF_Buffer* meta_graph = TF_NewBuffer();
  const char* const tags[] = {"serve"};
  TF_Session* session =
      TF_LoadSessionFromSavedModel(options, nullptr, arguments[0].c_str(), tags, 1, graph, meta_graph, status);
  Check(status, kNoModel, "the model does not load");

  const std::map<std::string, Signature> signatures = ParseSignatures(meta_graph);
  for (size_t i = 1; i < arguments.size(); i += 3) {
    const auto found = signatures.find(arguments[i]);
    if (found == signatures.end()) Fail(kUsage, "the model has no signature " + arguments[i]);
    Run(session, graph, found->second, arguments[i + 1], arguments[i + 2]);
  }
  TF_CloseSession(session, status);
  TF_DeleteSession(session, status);
  TF_DeleteBuffer(meta_graph);
  TF_DeleteSessionOptions(options);
  TF_DeleteGraph(graph);
  TF_DeleteStatus(status);
  return kDone;
}
