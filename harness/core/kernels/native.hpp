// What the files of the extension share.
#pragma once
#define PY_SSIZE_T_CLEAN
#ifndef Py_LIMITED_API
#define Py_LIMITED_API 0x030B0000
#endif
#include <Python.h>

// The functions of each subject, ended by a row of null pointers.
extern PyMethodDef causal_methods[];
extern PyMethodDef causal_reads_methods[];
extern PyMethodDef graph_methods[];
extern PyMethodDef replay_methods[];
extern PyMethodDef saturation_methods[];
extern PyMethodDef search_methods[];
extern PyMethodDef sessions_methods[];
extern PyMethodDef tokens_methods[];
extern PyMethodDef transactions_methods[];
extern PyMethodDef versions_methods[];
