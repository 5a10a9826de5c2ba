int scheduler_test_placeholder();
