"""How dates and times are written in the back office: as the law and the machines do, ISO 8601."""
