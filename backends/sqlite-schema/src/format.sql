UPDATE downlink_meta SET value = 4 WHERE name = 'format';
