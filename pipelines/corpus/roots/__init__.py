"""Where recordings lie: folders, and buckets of S3-compatible stores."""
