-- So that the deliveries of a target are counted without a look at their rows.
CREATE INDEX deliveries_discarded ON deliveries (target) WHERE status = 'discarded';
