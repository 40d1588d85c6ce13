# vddk-host, the process that loads VDDK.
HOST_OBJECTS := $(patsubst $(ROOT)/native/host/%.cc,$(BUILD)/obj/host/%.o,$(wildcard $(ROOT)/native/host/*.cc))
TARGETS += $(BUILD)/vddk-host

$(BUILD)/obj/host/%.o: $(ROOT)/native/host/%.cc
	@mkdir -p $(@D)
	$(CXX) $(CXXFLAGS) $(NATIVE_CXXFLAGS) -c -o $@ $<

# Linked statically with libstdc++: LD_LIBRARY_PATH points to VDDK's older one, which would be taken instead.
$(BUILD)/vddk-host: $(HOST_OBJECTS)
	$(CXX) -pthread -static-libstdc++ -static-libgcc -o $@ $^ -ldl

-include $(HOST_OBJECTS:.o=.d)
