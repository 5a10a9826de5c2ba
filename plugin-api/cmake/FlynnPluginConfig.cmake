# find_package(FlynnPlugin): the targets Flynn::abi (the C header) and Flynn::sdk (the C++ SDK), and flynn_add_plugin().
include(CMakeFindDependencyMacro)
find_dependency(Threads)
if(CMAKE_CXX_COMPILER_LOADED)  # the SDK is C++; a plugin in C needs neither
  find_dependency(boost_json 1.81 CONFIG)
endif()
include(${CMAKE_CURRENT_LIST_DIR}/FlynnPluginTargets.cmake)
include(${CMAKE_CURRENT_LIST_DIR}/FlynnPlugin.cmake)
