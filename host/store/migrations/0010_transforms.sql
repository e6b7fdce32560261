-- What a subscription's transform made of a delivery, as JSON; null where none has run.
ALTER TABLE deliveries ADD COLUMN transform TEXT;
-- So that the deliveries of a target are counted without a look at their rows.
CREATE INDEX deliveries_filtered ON deliveries (target) WHERE status = 'filtered';
