// dxc LIBRARY PROFILE FILE.hlsl…: compiles the compute entry point of each file by Microsoft's DXC, and prints what it
// says; in profile cs_6_2 with numbers of 16 bits. The includes are DXC's own.
#include <dlfcn.h>

#include <fstream>
#include <iostream>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include "WinAdapter.h"
#include "dxcapi.h"

static std::wstring wide(const std::string &text) { return std::wstring(text.begin(), text.end()); }

int main(int count, char **words) {
  void *library = dlopen(words[1], RTLD_NOW);
  if (!library) {
    std::cerr << dlerror() << "\n";
    return 1;
  }
  auto create = (DxcCreateInstanceProc)dlsym(library, "DxcCreateInstance");
  IDxcCompiler3 *compiler;
  if (create(CLSID_DxcCompiler, __uuidof(IDxcCompiler3), (void **)&compiler)) return 1;
  std::wstring profile = wide(words[2]);
  int compiled = 0, failed = 0;
  for (int i = 3; i < count; i++) {
    std::stringstream stream;
    stream << std::ifstream(words[i]).rdbuf();
    std::string text = stream.str();
    std::smatch found;
    std::regex_search(text, found, std::regex("\\[numthreads\\([^)]*\\)\\]\\s*void (\\w+)\\("));
    std::wstring entry = wide(found[1]);
    // naga puts equality in parentheses of its own.
    std::vector<LPCWSTR> options = {
        L"-E", entry.c_str(), L"-T", profile.c_str(), L"-HV", L"2018", L"-Wno-parentheses-equality"};
    if (profile == L"cs_6_2") options.push_back(L"-enable-16bit-types");
    DxcBuffer source = {text.data(), text.size(), DXC_CP_UTF8};
    IDxcResult *result;
    HRESULT status = compiler->Compile(
        &source, options.data(), options.size(), nullptr, __uuidof(IDxcResult), (void **)&result);
    IDxcBlobUtf8 *said = nullptr;
    if (!status) {
      result->GetStatus(&status);
      result->GetOutput(DXC_OUT_ERRORS, __uuidof(IDxcBlobUtf8), (void **)&said, nullptr);
    }
    std::string message = said ? said->GetStringPointer() : "";
    // To sign what comes out, which nobody runs, it would need a library that exists for Windows only.
    message = std::regex_replace(message, std::regex("warning: DXIL.dll not found[^\n]*\\s*"), "");
    bool silent = message.empty();
    if (!silent) std::cout << words[i] << ": " << message << "\n";
    if (!status && silent) compiled++;
    else failed++;
  }
  std::cout << compiled << " compiled, " << failed << " failed or with messages\n";
  return failed > 0;
}
