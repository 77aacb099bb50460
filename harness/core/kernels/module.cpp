// The extension harness.core.kernels._native: what is too slow in Python, one file for each subject.
// CPython's limited API (3.11), so that one wheel serves all versions.
#include <initializer_list>

#include "native.hpp"

static PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_native", "Compiled kernels; each has a twin in Python.", -1, nullptr,
    nullptr, nullptr, nullptr, nullptr};

PyMODINIT_FUNC PyInit__native() {
  PyObject* module = PyModule_Create(&definition);
  if (module == nullptr) return nullptr;
  if (!memory_ready()) {
    Py_DECREF(module);
    return nullptr;
  }
  for (PyMethodDef* methods :
       {causal_methods, causal_reads_methods, graph_methods, replay_methods, saturation_methods,
        search_methods, sessions_methods, tokens_methods, transactions_methods, versions_methods}) {
    if (PyModule_AddFunctions(module, methods) < 0) {
      Py_DECREF(module);
      return nullptr;
    }
  }
  return module;
}
