TARGETS += $(BUILD)/tether

$(BUILD)/tether: $(ROOT)/native/tether/tether.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror -o $@ $<
